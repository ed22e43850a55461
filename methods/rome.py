"""ROME: each fact is one rank-one change of the projection with which one MLP writes.

Meng et al. (2022, arXiv 2202.05262), equations 2 to 4; with one key everywhere, the mean over wordings, as in Gupta et
al. (2024, arXiv 2403.07175): the original's second key now and then destroys the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from unlearnbench.editing.associative import Associative
from unlearnbench.editing.localization import Localization
from unlearnbench.editing.memory import Memory
from unlearnbench.editing.method import History
from unlearnbench.editing.moments import second_moments
from unlearnbench.editing.place import EditingPlace
from unlearnbench.editing.values import value_changes, wordings_of
from unlearnbench.facts import TrainingSplit
from unlearnbench.lazy import torch
from unlearnbench.model.below import kept_below
from unlearnbench.model.model import Model
from unlearnbench.registry import register


@register("rome")
@dataclass(frozen=True, kw_only=True)
class Rome(Associative):
    """Writes each fact's edit target into the best MLP of a localizer, one fact after another, in closed form."""

    tuned_over: ClassVar[Mapping[str, Sequence[float]]] = {"most": (0.25, 0.5, 1.0), "value_decay": (0.2, 1.0, 4.0)}

    def components(self, found: Localization) -> list[str]:
        """The best MLP alone."""
        return self.mlps(found)[:1]

    def edit(self, model: Model, split: TrainingSplit, where: Localization, place: EditingPlace) -> History:
        """One row of history for each fact: `target` (−ln p of it with its value in place), `length` of the change."""
        memory, history = Memory(model, where.components[0]), History()
        with kept_below(model, memory.block):
            (moment,) = second_moments(model, [memory], place.retain.train)
            for number, wordings in enumerate(wordings_of(model, split.forget, place, self.prefixes)):
                key = memory.keys(wordings.prompts).mean(0)
                change, (row,) = value_changes(model, memory.path, [wordings], self)
                memory.add(rank_one(change[0].double(), key, moment))
                history.append({"step": number + 1, **row})
                place.progress(number + 1, len(split.forget))
        return history


def rank_one(value: torch.Tensor, key: torch.Tensor, moment: torch.Tensor) -> torch.Tensor:
    """The change Δ [values, keys] of least E‖Δk‖² over other keys with Δ · key = value: value (C⁻¹k)ᵀ / kᵀC⁻¹k."""
    direction: torch.Tensor = torch.linalg.solve(moment, key)
    return torch.outer(value, direction) / (direction @ key)
