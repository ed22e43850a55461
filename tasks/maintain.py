"""Does the model still know the facts that it was to keep?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from unlearnbench.asking import Question, QuestionTask
from unlearnbench.registry import register
from unlearnbench.split import Split
from unlearnbench.task import Metric, floor, standard_metrics


@register("maintain")
@dataclass(frozen=True, kw_only=True)
class Maintain(QuestionTask):
    """The trained wording, on facts to keep that no method has seen."""

    version: ClassVar[int] = 1
    primary: ClassVar[str] = "accuracy"

    def metrics(self, split: Split) -> Sequence[Metric]:
        """Accuracy and probability of the true answer, higher is better."""
        return standard_metrics("maintain", "retain", floor(split.maintain_test), edited=False)

    def questions(self, split: Split) -> Sequence[Question]:
        """One per fact of maintain-test."""
        return [Question.about(fact, "maintain") for fact in split.maintain_test]
