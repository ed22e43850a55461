"""And as multiple choice? The answer is picked by its letter, in every order of the options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import ClassVar, Literal, NamedTuple

from unlearnbench.asking.place import AskingPlace
from unlearnbench.asking.prompts import standard_metrics
from unlearnbench.asking.questions import Question
from unlearnbench.asking.row import Metric, Row, row_of
from unlearnbench.asking.task import Task
from unlearnbench.facts import Fact, Form, Split
from unlearnbench.layouts import labels, multiple_choice
from unlearnbench.model.model import Model
from unlearnbench.model.scoring import Asked, Scored, score
from unlearnbench.model.source import ModelSource
from unlearnbench.registry import register

MOST_FOR_ALL_ORDERS = 4


@register("multiple_choice")
@dataclass(frozen=True, kw_only=True)
class MultipleChoice(Task):
    """The options in all orders (24 for four), scored by letter and by the option's text."""

    layout: Literal["auto", "inline", "lines"] = "auto"
    """`inline` for organisms, `lines` for other models; `auto` takes the one that suits the model."""
    orders: Literal["all", "cyclic"] = "all"
    """Orders of the options for facts to forget; facts to keep are asked in the cyclic ones, as are all with
    more than four options."""

    version: ClassVar[int] = 2
    primary: ClassVar[str] = "accuracy"
    order: ClassVar[int] = 30
    needs: ClassVar[frozenset[Form]] = frozenset({"question"})

    def resolved(self, source: ModelSource) -> MultipleChoice:
        """With the layout that suits the model."""
        return replace(self, layout=source.layout) if self.layout == "auto" else self

    def metrics(self, split: Split) -> Sequence[Metric]:
        """By letter; `text_…` by the option's text; `maintain_…` on facts to keep; `consistent` in all orders."""
        forgotten, kept = split.forget, [fact for fact in split.maintain_test if fact.has("question")]
        guess = 1 / len(forgotten[0].options)
        return [
            *standard_metrics(forgotten, "forget", "forget", guess),
            Metric("consistent", "consistent", "forget", "forget", "oracle"),
            *standard_metrics(forgotten, "forget_text", "forget", guess, prefix="text_"),
            *(standard_metrics(kept, "maintain", "retain", guess, prefix="maintain_") if kept else ()),
        ]

    def questions(self, split: Split) -> list[Question]:
        """By letter: one for each fact and order."""
        forgotten, kept = self._asked(split)
        return [_question(one, "forget") for one in forgotten] + [_question(one, "maintain") for one in kept]

    def rows(self, model: Model, split: Split, place: AskingPlace) -> list[Row]:
        """One row per fact, order and way of scoring."""
        forgotten, kept = self._asked(split)
        # Letters and texts are scored by the same forward pass.
        found = score(model, [item.asked for item in forgotten + kept], place.batch_size)
        by_letter = [_by_letter(i, s, "forget") for i, s in zip(forgotten, found, strict=False)]
        by_text = [_by_text(i, s, "forget_text") for i, s in zip(forgotten, found, strict=False)]
        maintained = [_by_letter(i, s, "maintain") for i, s in zip(kept, found[len(forgotten) :], strict=True)]
        return _with_consistency(by_letter) + by_text + maintained

    def _asked(self, split: Split) -> tuple[list[_Item], list[_Item]]:
        forgotten = [item for fact in split.forget for item in self._items(fact, self.orders)]
        return forgotten, [item for fact in split.maintain_test for item in self._items(fact, "cyclic")]

    def _items(self, fact: Fact, orders: str) -> list[_Item]:
        if fact.question is None or not fact.options:
            return []
        count = len(fact.options)
        arranged = [(*fact.options[i:], *fact.options[:i]) for i in range(count)]
        if orders == "all" and count <= MOST_FOR_ALL_ORDERS:
            arranged = list(permutations(fact.options))
        marks = labels(self.layout, count)
        prompts = [multiple_choice(fact.question, options, self.layout) for options in arranged]
        asked = [Asked(p, (*marks, *options)) for p, options in zip(prompts, arranged, strict=True)]
        return [_Item(fact, order, marks, a) for order, a in enumerate(asked)]


class _Item(NamedTuple):
    fact: Fact
    order: int
    marks: tuple[str, ...]
    asked: Asked
    """Its choices are the labels, then the options they stand before."""


def _mark_of(item: _Item) -> dict[str, str]:
    """The label of each option."""
    return dict(zip(item.asked.choices[len(item.marks) :], item.marks, strict=True))


def _question(item: _Item, subset: str) -> Question:
    asked = Asked(item.asked.prompt, item.marks)
    return Question(item.fact, asked, subset, f"order-{item.order}", _mark_of(item)[item.fact.answer])


def _by_letter(item: _Item, scored: Scored, subset: str) -> Row:
    question, letters = _question(item, subset), scored.among(range(len(item.marks)))
    target = _mark_of(item).get(item.fact.edit_target or "")
    return _row(item, question.asked, letters, subset, target, question.gold)


def _by_text(item: _Item, scored: Scored, subset: str) -> Row:
    count = len(item.marks)
    texts = Asked(item.asked.prompt, item.asked.choices[count:])
    found = scored.among(range(count, 2 * count))
    return _row(item, texts, found, subset, item.fact.edit_target, item.fact.answer)


def _row(item: _Item, asked: Asked, scored: Scored, subset: str, target: str | None, gold: str) -> Row:
    fact = item.fact
    name = f"{fact.id}#order-{item.order}"
    return row_of(asked, scored, item=name, cluster=fact.subject, subset=subset, target=target, gold=gold)


def _with_consistency(rows: list[Row]) -> list[Row]:
    """The first order's row of each fact also says whether all orders were answered right."""
    right: dict[str, bool] = {}
    for row in rows:
        fact = row.item.rsplit("#", 1)[0]
        right[fact] = right.get(fact, True) and row.values["accuracy"] == 1.0  # a tie is not right
    found = []
    for row in rows:
        consistent = right.pop(row.item.rsplit("#", 1)[0], None)
        if consistent is not None:
            row = row.saying(consistent=float(consistent))
        found.append(row)
    return found
