"""MEMIT: all facts at once, spread over several MLPs, by ridge regression.

Meng et al. (2023, arXiv 2210.07229), section 4.3 and equation 14.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from unlearnbench.editing.associative import Associative, refuse_norm_behind
from unlearnbench.editing.localization import Localization
from unlearnbench.editing.memory import Memory, spread
from unlearnbench.editing.method import History
from unlearnbench.editing.moments import second_moments
from unlearnbench.editing.place import EditingPlace
from unlearnbench.editing.values import Wordings, value_changes, wordings_of
from unlearnbench.facts import TrainingSplit
from unlearnbench.lazy import torch
from unlearnbench.model.below import kept_below
from unlearnbench.model.model import Model
from unlearnbench.model.reading import outputs_at
from unlearnbench.registry import register

TOGETHER = 8
"""Facts whose values are looked for at once."""


@register("memit")
@dataclass(frozen=True, kw_only=True)
class Memit(Associative):
    """Writes all facts' edit targets into the MLPs of a localizer, in closed form."""

    tuned_over: ClassVar[Mapping[str, Sequence[float]]] = {
        "most": (1.0, 2.0, 4.0),
        "preserve": (0.01, 0.1, 1.0),
    }

    most: Annotated[float, Field(gt=0)] = 0.75
    """How long the change of the residual stream may become, in lengths of what is there."""
    preserve: Annotated[float, Field(gt=0)] = 15_000.0
    """λ: how many other keys weigh as much as those of the facts."""

    def components(self, found: Localization) -> list[str]:
        """All MLPs that it chose, in order of depth."""
        return sorted(self.mlps(found), key=lambda name: int(name.rpartition(".")[2]))

    def refuse(self, model: Model) -> None:
        """Blocks must add what an MLP says as it is."""
        refuse_norm_behind(model)

    def edit(self, model: Model, split: TrainingSplit, where: Localization, place: EditingPlace) -> History:
        """One row of history for each fact: `target` (−ln p of it with its value in place), `length` of the change."""
        memories = [Memory(model, component) for component in where.components]
        last = f"{model.family.blocks}.{memories[-1].block}"
        wordings, history = wordings_of(model, split.forget, place, self.prefixes), History()
        with kept_below(model, memories[0].block):
            moments = second_moments(model, memories, place.retain.train)
            goals = list[torch.Tensor]()
            for start in range(0, len(wordings), TOGETHER):
                batch = wordings[start : start + TOGETHER]
                change, rows = value_changes(model, last, batch, self)
                goals.append(self._stream(model, last, batch) + change.double())
                history += [{"step": start + number + 1, **row} for number, row in enumerate(rows)]
                place.progress(start + len(batch), len(wordings))
            goal = torch.cat(goals)
            for number, (memory, moment) in enumerate(zip(memories, moments, strict=True)):
                keys = torch.stack([memory.keys(one.prompts).mean(0) for one in wordings])
                missing = goal - self._stream(model, last, wordings)
                memory.add(spread(missing / (len(memories) - number), keys, self.preserve * moment))
        return history

    @staticmethod
    def _stream(model: Model, path: str, wordings: Sequence[Wordings]) -> torch.Tensor:
        return outputs_at(model, [path], [one.prompts[0] for one in wordings])[path].double()
