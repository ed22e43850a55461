"""And in other words? Wordings that neither pretraining nor the method has seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from unlearnbench.asking.place import AskingPlace
from unlearnbench.asking.prompts import chance, standard_metrics
from unlearnbench.asking.questions import Question, answered
from unlearnbench.asking.row import Metric, Row
from unlearnbench.asking.task import Task
from unlearnbench.facts import Fact, Form, Split
from unlearnbench.model.model import Model
from unlearnbench.model.scoring import Asked
from unlearnbench.registry import register


@register("paraphrase")
@dataclass(frozen=True, kw_only=True)
class Paraphrase(Task):
    """Every held-out wording of every fact to forget, and of the facts to keep."""

    version: ClassVar[int] = 2
    primary: ClassVar[str] = "accuracy"
    order: ClassVar[int] = 20
    needs: ClassVar[frozenset[Form]] = frozenset({"paraphrases"})

    def metrics(self, split: Split) -> Sequence[Metric]:
        """As in `forget`, and the same wordings on facts to keep (`maintain_…`), to tell forgetting from breaking."""
        forgotten = standard_metrics(split.forget, "forget", "forget", chance(split.forget, split))
        kept = [fact for fact in split.maintain_test if fact.has("paraphrases")]
        if not kept:
            return forgotten
        return [*forgotten, *standard_metrics(kept, "maintain", "retain", chance(kept, split), prefix="maintain_")]

    def questions(self, split: Split) -> list[Question]:
        """One for each fact and wording."""
        return _worded(split.forget, "forget") + _worded(split.maintain_test, "maintain")

    def rows(self, model: Model, split: Split, place: AskingPlace) -> list[Row]:
        return answered(model, self.questions(split), place.batch_size)


def _worded(facts: Sequence[Fact], subset: str) -> list[Question]:
    return [
        Question(fact, Asked(prompt, fact.choices), subset, f"wording-{i}")
        for fact in facts
        for i, prompt in enumerate(fact.paraphrases)
    ]
