"""The untouched model: the reference called *base*."""

from dataclasses import dataclass
from typing import ClassVar

from unlearnbench.editing.localization import Localization
from unlearnbench.editing.method import Method, Workplace
from unlearnbench.editing.training import History
from unlearnbench.facts import TrainingSplit
from unlearnbench.model.model import Model
from unlearnbench.registry import register


@register("none")
@dataclass(frozen=True, kw_only=True)
class Nothing(Method):
    """Changes nothing; every difference in a table is a difference from this row."""

    trains: ClassVar[bool] = False

    def localize(self, model: Model, split: TrainingSplit, place: Workplace) -> Localization:
        """Nowhere."""
        return Localization.nowhere()

    def edit(self, model: Model, split: TrainingSplit, where: Localization, place: Workplace) -> History:
        """No step is taken."""
        return []
