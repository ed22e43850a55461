"""And in other words? Wordings that neither pretraining nor the method has seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from unlearnbench.asking import Question, QuestionTask
from unlearnbench.registry import register
from unlearnbench.split import Split
from unlearnbench.task import Metric, floor, standard_metrics


@register("paraphrase")
@dataclass(frozen=True, kw_only=True)
class Paraphrase(QuestionTask):
    """Every held-out wording of every fact to forget, and of the facts to keep."""

    version: ClassVar[int] = 1
    primary: ClassVar[str] = "accuracy"

    def metrics(self, split: Split) -> Sequence[Metric]:
        """As in `forget`, and the same wordings on facts to keep (`maintain_…`), to tell forgetting from breaking."""
        forgotten = standard_metrics("forget", "forget", floor(split.forget), edited=True)
        kept = standard_metrics("maintain", "retain", floor(split.maintain_test), edited=False, prefix="maintain_")
        return [*forgotten, *kept]

    def questions(self, split: Split) -> Sequence[Question]:
        """One per fact and wording."""
        parts = {"forget": split.forget, "maintain": split.maintain_test}
        return [
            Question.about(fact, part, prompt, f"wording-{i}")
            for part, facts in parts.items()
            for fact in facts
            for i, prompt in enumerate(fact.paraphrases)
        ]
