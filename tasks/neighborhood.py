"""And what was next to it? Other subjects, of whom the same answer is true, asked in the edited wording."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from unlearnbench.asking import Question, QuestionTask
from unlearnbench.registry import register
from unlearnbench.split import Split
from unlearnbench.task import Metric, floor, standard_metrics


@register("neighborhood")
@dataclass(frozen=True, kw_only=True)
class Neighborhood(QuestionTask):
    """The neighbours of every fact to forget, none of which was trained on or is itself forgotten."""

    version: ClassVar[int] = 1
    primary: ClassVar[str] = "accuracy"

    def metrics(self, split: Split) -> Sequence[Metric]:
        """Accuracy and probability of what was and stays true, higher is better; of the edit's answer, lower."""
        chance = floor(split.forget)
        return [
            *standard_metrics("neighborhood", "retain", chance, edited=False),
            Metric("edit_accuracy", "edit_accuracy", "neighborhood", "retain", "min", chance),
            Metric("p_edit", "p_edit", "neighborhood", "retain", "min"),
        ]

    def questions(self, split: Split) -> Sequence[Question]:
        """One per fact and neighbour; a fact's neighbours are one cluster."""
        return [
            Question.about(fact, "neighborhood", prompt, f"neighbor-{i}")
            for fact in split.forget
            for i, prompt in enumerate(fact.neighbors)
        ]
