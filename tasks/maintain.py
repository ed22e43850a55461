"""Does the model still know the facts that it was to keep?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from unlearnbench.asking.place import AskingPlace
from unlearnbench.asking.prompts import chance, standard_metrics
from unlearnbench.asking.questions import Question, answered, directly
from unlearnbench.asking.row import Metric, Row
from unlearnbench.asking.task import Task
from unlearnbench.facts import Split
from unlearnbench.model.model import Model
from unlearnbench.registry import register


@register("maintain")
@dataclass(frozen=True, kw_only=True)
class Maintain(Task):
    """The trained wording, on facts to keep that no method has seen."""

    version: ClassVar[int] = 2
    primary: ClassVar[str] = "accuracy"
    order: ClassVar[int] = 90

    def metrics(self, split: Split) -> Sequence[Metric]:
        """Accuracy and probability of the true answer, higher is better."""
        return standard_metrics(split.maintain_test, "maintain", "retain", chance(split.maintain_test, split))

    def questions(self, split: Split) -> list[Question]:
        return directly(split.maintain_test, "maintain")

    def rows(self, model: Model, split: Split, place: AskingPlace) -> list[Row]:
        return answered(model, self.questions(split), place.batch_size)
