"""Questions with given answers, as data: what static tasks ask, here and in lm-eval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from unlearnbench.asking.row import Row, row_about
from unlearnbench.facts import Fact
from unlearnbench.model.scoring import Asked, score

if TYPE_CHECKING:
    from unlearnbench.model.model import Model


class Question(NamedTuple):
    """A prompt about a fact, the answers that are scored, and which of them is right."""

    fact: Fact
    asked: Asked
    subset: str
    """What its row belongs to."""
    form: str = ""
    """In which of several wordings or orders; empty where there is one."""
    label: str | None = None
    """The right choice, where it is not the fact's own answer but stands for it."""

    @property
    def item(self) -> str:
        """What its row is called."""
        return f"{self.fact.id}#{self.form}" if self.form else self.fact.id

    @property
    def gold(self) -> str:
        """The right choice."""
        return self.fact.answer if self.label is None else self.label


def directly(facts: Sequence[Fact], subset: str) -> list[Question]:
    """Each fact's own prompt."""
    return [Question(fact, Asked(fact.prompt, fact.choices), subset) for fact in facts]


def answered(model: Model, questions: Sequence[Question], batch_size: int) -> list[Row]:
    """Score questions whose choices are the facts' own answers: one row for each."""
    found = score(model, [one.asked for one in questions], batch_size)
    return [
        row_about(one.fact, one.asked, scored, one.subset, one.form)
        for one, scored in zip(questions, found, strict=True)
    ]
