"""Weights in few bits: what a model is after quantization, as the last of several methods `in_turn`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from unlearnbench.editing.localization import Localization
from unlearnbench.editing.method import History, Method
from unlearnbench.editing.place import EditingPlace
from unlearnbench.facts import TrainingSplit
from unlearnbench.model.model import Model
from unlearnbench.model.rounding import GROUP, round_matrices
from unlearnbench.registry import register


@register("rounded")
@dataclass(frozen=True, kw_only=True)
class Rounded(Method):
    """All matrices of the blocks are rounded to nearest, in groups that share a scale (simulated)."""

    bits: Annotated[int, Field(ge=2, le=16)] = 4
    """To how many bits."""
    group: Annotated[int, Field(ge=1)] = GROUP
    """Weights that share a scale."""

    def localize(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Localization:
        return Localization.of(model, list(model.components))

    def edit(self, model: Model, split: TrainingSplit, where: Localization, place: EditingPlace) -> History:
        """Round."""
        round_matrices(model, self.bits, self.group)
        return []
