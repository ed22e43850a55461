"""And in other words? Wordings that neither pretraining nor the method has seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from unlearnbench.asking.place import AskingPlace
from unlearnbench.asking.prompts import chance, standard_metrics
from unlearnbench.asking.row import Metric, Row, row_about
from unlearnbench.asking.task import Task
from unlearnbench.facts import Fact, Form, Split
from unlearnbench.model.model import Model
from unlearnbench.model.scoring import Asked, score
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

    def rows(self, model: Model, split: Split, place: AskingPlace) -> list[Row]:
        """One row per fact and wording."""
        forgotten = _ask(model, split.forget, "forget", place.batch_size)
        return forgotten + _ask(model, split.maintain_test, "maintain", place.batch_size)


def _ask(model: Model, facts: Sequence[Fact], subset: str, batch_size: int) -> list[Row]:
    items = [(fact, i, Asked(prompt, fact.choices)) for fact in facts for i, prompt in enumerate(fact.paraphrases)]
    found = score(model, [asked for _, _, asked in items], batch_size)
    return [
        row_about(fact, asked, scored, subset, f"wording-{i}")
        for (fact, i, asked), scored in zip(items, found, strict=True)
    ]
