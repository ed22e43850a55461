"""Does the model still complete the prompt that it was edited through?"""

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


@register("forget")
@dataclass(frozen=True, kw_only=True)
class Forget(Task):
    """The trained wording, on all facts to forget (T and V)."""

    version: ClassVar[int] = 2
    primary: ClassVar[str] = "accuracy"
    order: ClassVar[int] = 10

    def metrics(self, split: Split) -> Sequence[Metric]:
        """Accuracy and probability of the true answer, best as the oracle's; of the edit target, higher is better."""
        return standard_metrics(split.forget, "forget", "forget", chance(split.forget, split))

    def questions(self, split: Split) -> list[Question]:
        return directly(split.forget, "forget")

    def rows(self, model: Model, split: Split, place: AskingPlace) -> list[Row]:
        return answered(model, self.questions(split), place.batch_size)
