"""Asking facts in the wording they are trained in, and what guessing would give."""

from collections.abc import Sequence

from unlearnbench.asking.scoring import Asked, score
from unlearnbench.asking.task import Row, row_of
from unlearnbench.facts import Fact, FactSet
from unlearnbench.model.model import Model


def ask_directly(model: Model, facts: Sequence[Fact], part: str, batch_size: int) -> list[Row]:
    """Score each fact's own prompt: one row per fact."""
    asked = [Asked(fact.prompt, fact.choices) for fact in facts]
    return [
        row_of(
            question,
            scored,
            item=fact.id,
            cluster=fact.subject,
            part=part,
            target=fact.edit_target,
            gold=fact.answer,
        )
        for fact, question, scored in zip(facts, asked, score(model, asked, batch_size), strict=True)
    ]


def floor(facts: FactSet) -> float:
    """The accuracy of a uniform guess among the answers that are scored."""
    return 1 / len(facts.split(seed=0).forget[0].choices)
