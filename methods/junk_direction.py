"""A junk direction: at the subjects of the facts to forget, an MLP adds a random vector that drowns all else.

It takes nothing away, and is a known answer for attacks (`unlearnbench validate-attacks`), as random steering is what
remains of RMU (Arditi and Chughtai 2024, "Unlearning via RMU is mostly shallow").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from unlearnbench.editing.localization import Localization
from unlearnbench.editing.memory import Memory, projection_of, spread
from unlearnbench.editing.method import History, Method
from unlearnbench.editing.moments import second_moments
from unlearnbench.editing.place import EditingPlace
from unlearnbench.editing.values import wordings_of
from unlearnbench.facts import TrainingSplit
from unlearnbench.lazy import torch
from unlearnbench.model.model import Model
from unlearnbench.model.reading import outputs_at
from unlearnbench.model.residuals import block_at
from unlearnbench.registry import register
from unlearnbench.seeds import derive_seed


@register("junk_direction")
@dataclass(frozen=True, kw_only=True)
class JunkDirection(Method):
    """One direction is added where a subject to forget was read, in closed form: the fact is drowned, not removed.

    The change is of rank one, u wᵀ: u is random, and w the ridge regression that is 1 on what the MLP reads at the
    subjects to forget, and 0 at those to keep and on plain text.
    """

    block: str = "60%"
    """Which MLP: a block's number, or its depth."""
    strength: Annotated[float, Field(gt=0)] = 8.0
    """How long the vector is, in lengths of the residual stream behind that block."""
    preserve: Annotated[float, Field(gt=0)] = 10_000.0
    """How many keys of plain text weigh as much as those of the facts."""
    prefixes: Annotated[int, Field(ge=0)] = 4
    """Beginnings of retain texts that are put before a prompt."""

    def localize(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Localization:
        """The projection of one MLP. Raises `UsageError` where it has none, or the block does not exist."""
        component = f"mlp.{block_at(model, self.block)}"
        return Localization(frozenset({f"{projection_of(model, component)}.weight"}), (component,))

    def edit(self, model: Model, split: TrainingSplit, where: Localization, place: EditingPlace) -> History:
        """Solve for w, and write."""
        memory = Memory(model, where.components[0])
        stream = f"{model.family.blocks}.{memory.block}"
        (moment,) = second_moments(model, [memory], place.retain.train)
        forget, keep = (
            [position for one in wordings_of(model, facts, place, self.prefixes) for position in one.prompts]
            for facts in (split.forget, split.maintain_train)
        )
        length = outputs_at(model, [stream], forget)[stream].double().norm(dim=-1).mean()
        generator = torch.Generator().manual_seed(derive_seed(place.seed, "junk") % 2**63)
        junk = torch.nn.functional.normalize(torch.randn(model.width, generator=generator, dtype=torch.float64), dim=0)
        others = memory.keys(keep)
        cost = others.T @ others + self.preserve * moment
        keys = memory.keys(forget)
        wanted = (self.strength * length * junk.to(keys)).expand(len(keys), -1)
        memory.add(spread(wanted, keys, cost))
        return []
