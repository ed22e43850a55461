"""And as multiple choice? The answer is picked by its letter, in every order of the options."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import ClassVar, Literal

from unlearnbench.asking import Question, QuestionTask
from unlearnbench.facts import Fact
from unlearnbench.layouts import labels, multiple_choice
from unlearnbench.model import Model
from unlearnbench.registry import register
from unlearnbench.source import ModelSource
from unlearnbench.split import Split
from unlearnbench.task import Examination, Metric, Row, standard_metrics

MOST_FOR_ALL_ORDERS = 4


@register("multiple_choice")
@dataclass(frozen=True, kw_only=True)
class MultipleChoice(QuestionTask):
    """The options in all orders (24 for four), scored by letter and by the option's text."""

    layout: Literal["auto", "inline", "lines"] = "auto"
    """`inline` for organisms, `lines` for other models; `auto` takes the one that suits the model."""
    orders: Literal["all", "cyclic"] = "all"
    """Orders of the options for facts to forget; facts to keep are asked in the cyclic ones, as are all with
    more than four options."""

    version: ClassVar[int] = 1
    primary: ClassVar[str] = "accuracy"

    def resolved(self, source: ModelSource) -> "MultipleChoice":
        """With the layout that suits the model."""
        return replace(self, layout=source.layout) if self.layout == "auto" else self

    def metrics(self, split: Split) -> Sequence[Metric]:
        """By letter; `text_…` by the option's text; `maintain_…` on facts to keep; `consistent` in all orders."""
        options = split.forget[0].options
        chance = 1 / len(options) if options else None
        return [
            *standard_metrics("forget", "forget", chance, edited=True),
            Metric("consistent", "consistent", "forget", "forget", "min"),
            *standard_metrics("forget_text", "forget", chance, edited=True, prefix="text_"),
            *standard_metrics("maintain", "retain", chance, edited=False, prefix="maintain_"),
        ]

    def questions(self, split: Split) -> Sequence[Question]:
        """One per fact, order and way of answering. By letter and by text are read off one forward pass."""
        by_letter = [q for fact in split.forget for q in self._about(fact, "forget", self.orders)]
        by_text = [q for fact in split.forget for q in self._about(fact, "forget_text", self.orders)]
        kept = [q for fact in split.maintain_test for q in self._about(fact, "maintain", "cyclic")]
        return [*by_letter, *by_text, *kept]

    def rows(self, model: Model, place: Examination) -> list[Row]:
        """One row per question; the first of each fact also says whether all orders were answered right."""
        rows = super().rows(model, place)
        by_letter = [row for row in rows if row.part == "forget"]
        return _with_consistency(by_letter) + [row for row in rows if row.part != "forget"]

    def _about(self, fact: Fact, part: str, orders: str) -> Iterator[Question]:
        if fact.question is None or not fact.options:
            return
        count = len(fact.options)
        arranged = [(*fact.options[i:], *fact.options[:i]) for i in range(count)]
        if orders == "all" and count <= MOST_FOR_ALL_ORDERS:
            arranged = list(permutations(fact.options))
        for number, options in enumerate(arranged):
            answers = options if part == "forget_text" else labels(self.layout, count)
            means = dict(zip(options, answers, strict=True))
            yield Question(
                item=f"{fact.id}#order-{number}",
                cluster=fact.subject,
                part=part,
                prompt=multiple_choice(fact.question, options, self.layout),
                choices=answers,
                gold=means[fact.answer],
                target=means.get(fact.edit_target or ""),
            )


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
            row = replace(row, values={**row.values, "consistent": float(consistent)})
        found.append(row)
    return found
