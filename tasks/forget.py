"""Does the model still complete the prompt that it was edited through?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from unlearnbench.asking import Question, QuestionTask
from unlearnbench.registry import register
from unlearnbench.split import Split
from unlearnbench.task import Metric, floor, standard_metrics


@register("forget")
@dataclass(frozen=True, kw_only=True)
class Forget(QuestionTask):
    """The trained wording, on all facts to forget (T and V)."""

    version: ClassVar[int] = 1
    primary: ClassVar[str] = "accuracy"

    def metrics(self, split: Split) -> Sequence[Metric]:
        """Accuracy and probability of the true answer, lower is better; of the edit target, higher."""
        return standard_metrics("forget", "forget", floor(split.forget), edited=True)

    def questions(self, split: Split) -> Sequence[Question]:
        """One per fact."""
        return [Question.about(fact, "forget") for fact in split.forget]
