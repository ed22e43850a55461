"""And in other words? Wordings that neither pretraining nor the method has seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from unlearnbench.asking.prompts import floor
from unlearnbench.asking.scoring import Asked, score
from unlearnbench.asking.task import Metric, Row, Task, row_of, standard_metrics
from unlearnbench.facts import Fact, FactSet, Split
from unlearnbench.model.model import Model
from unlearnbench.registry import register


@register("paraphrase")
@dataclass(frozen=True, kw_only=True)
class Paraphrase(Task):
    """Every held-out wording of every fact to forget, and of the facts to keep."""

    version: ClassVar[int] = 1
    primary: ClassVar[str] = "accuracy"

    def metrics(self, facts: FactSet) -> Sequence[Metric]:
        """As in `forget`, and the same wordings on facts to keep (`maintain_…`), to tell forgetting from breaking."""
        forgotten = standard_metrics("forget", "forget", floor(facts), edited=True)
        kept = standard_metrics("maintain", "retain", floor(facts), edited=False, prefix="maintain_")
        return [*forgotten, *kept]

    def rows(self, model: Model, split: Split, batch_size: int) -> list[Row]:
        """One row per fact and wording."""
        forgotten = _ask(model, split.forget, "forget", batch_size)
        return forgotten + _ask(model, split.maintain_test, "maintain", batch_size)


def _ask(model: Model, facts: Sequence[Fact], part: str, batch_size: int) -> list[Row]:
    items = [(fact, i, Asked(prompt, fact.choices)) for fact in facts for i, prompt in enumerate(fact.paraphrases)]
    found = score(model, [asked for _, _, asked in items], batch_size)
    return [
        row_of(
            asked,
            scored,
            item=f"{fact.id}#wording-{i}",
            cluster=fact.subject,
            part=part,
            target=fact.edit_target,
            gold=fact.answer,
        )
        for (fact, i, asked), scored in zip(items, found, strict=True)
    ]
