"""The untouched model: the reference called *base*."""

from __future__ import annotations

from dataclasses import dataclass

from unlearnbench.editing.localization import Localization
from unlearnbench.editing.method import History, Method
from unlearnbench.editing.place import EditingPlace
from unlearnbench.facts import TrainingSplit
from unlearnbench.model.model import Model
from unlearnbench.registry import register


@register("none")
@dataclass(frozen=True, kw_only=True)
class Nothing(Method):
    """Changes nothing; every difference in a table is a difference from it."""

    def localize(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Localization:
        return Localization.nowhere()

    def edit(self, model: Model, split: TrainingSplit, where: Localization, place: EditingPlace) -> History:
        return []
