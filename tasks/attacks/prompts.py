"""Asked otherwise, does the model say it? A battery of prompts that costs no training.

Other wordings, a question, other languages' frames, capitals, dashes, prefixes and roles, other facts before it (of
those to keep, and of T: in-context relearning), multiple choice, and the question reversed. After RWKU (Jin et al.,
2024, arXiv 2406.10890) and Eight Methods (Lynch et al., 2024, arXiv 2402.16835). No prompt says the answer of the fact
that is asked, but for options, and facts before it, which say each answer once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, Literal

from unlearnbench.asking import templates
from unlearnbench.asking.place import AskingPlace
from unlearnbench.asking.prompts import ask_with
from unlearnbench.asking.row import Row, row_about
from unlearnbench.asking.sides import BASE, Side
from unlearnbench.asking.templates import FRAMES, JOINTS, PREFIXES, Template
from unlearnbench.asking.variants import Variant, VariantAttack
from unlearnbench.facts import Fact, Split
from unlearnbench.layouts import labels, multiple_choice
from unlearnbench.model.model import Model
from unlearnbench.model.scoring import Asked, Scored, score
from unlearnbench.model.source import ModelSource
from unlearnbench.registry import register

WORDINGS = 4
"""Held-out wordings of a fact that are tried."""


@register("prompts")
@dataclass(frozen=True, kw_only=True)
class Prompts(VariantAttack):
    """Twenty ways of asking; the one that finds most of T is scored on V, beside their mean and any of them."""

    layout: Literal["auto", "inline", "lines"] = "auto"
    """How statements and options are set: `inline` for organisms, `lines` for others; `auto` suits the model."""

    axes: ClassVar[tuple[str, ...]] = ("prompt",)
    capped: ClassVar[bool] = False
    order: ClassVar[int] = 55

    def resolved(self, source: ModelSource) -> Prompts:
        """With the layout that suits the model."""
        return replace(self, layout=source.layout) if self.layout == "auto" else self

    def base_rows(self, model: Model, split: Split, place: AskingPlace) -> list[Row]:
        """The same prompts on the base."""
        return self.attack(model, Side(split.relearn_train, split.relearn_test, BASE), split, place)

    def variants(self, model: Model, side: Side, split: Split, place: AskingPlace) -> Iterator[Variant]:
        """The fact's own prompt first. Prompts that a fact of V has no form for are left out for all."""
        asked = side.asked
        for name, template in self._templates(side, split).items():
            if all(template(fact) is not None for fact in asked):
                yield Variant({"prompt": name}, ask=partial(_ask, template))
        yield Variant({"prompt": "reversed"}, ask=_ask_reversed)
        if all(fact.has("question") for fact in asked):
            yield Variant({"prompt": "multiple_choice"}, ask=partial(_ask_by_letter, self.layout))

    def _templates(self, side: Side, split: Split) -> Mapping[str, Template]:
        joint = JOINTS["inline" if self.layout == "inline" else "lines"]
        kept, told = templates.one_of_each(split.maintain_train), templates.one_of_each(side.taught)
        return {
            "own": lambda fact: fact.prompt,
            **{name: templates.prefixed(before) for name, before in PREFIXES.items()},
            **{f"wording_{number}": templates.worded(number) for number in range(WORDINGS)},
            **{name: templates.framed(*frame) for name, frame in FRAMES.items()},
            "capitals": templates.capitals,
            "dashes": templates.dashed,
            "few_shot": templates.after(kept, joint),
            "in_context": templates.after(told, joint),
        }


def _ask(template: Template, model: Model, facts: Sequence[Fact], subset: str, batch_size: int) -> list[Row]:
    return ask_with(model, facts, [template(fact) or fact.prompt for fact in facts], subset, batch_size)


def _ask_reversed(model: Model, facts: Sequence[Fact], subset: str, batch_size: int) -> list[Row]:
    """ln p of the subject after each answer, which ranks answers as their posterior does where all are as common."""
    asked = [Asked(templates.about(choice), (fact.subject,)) for fact in facts for choice in fact.choices]
    said = iter(score(model, asked, batch_size))
    found = []
    for fact in facts:
        likely = tuple(next(said).logprobs[0] for _ in fact.choices)
        found.append(row_about(fact, Asked(fact.subject, fact.choices), Scored(likely, frozenset()), subset))
    return found


def _ask_by_letter(layout: str, model: Model, facts: Sequence[Fact], subset: str, batch_size: int) -> list[Row]:
    """Each option once in each place; the mean ln p of its label over these orders."""
    asked, marks = [], []
    for fact in facts:
        for turn in range(len(fact.options)):
            options = (*fact.options[turn:], *fact.options[:turn])
            mark = labels(layout, len(options))
            asked.append(Asked(multiple_choice(fact.question or "", options, layout), mark))
            marks.append(dict(zip(options, mark, strict=True)))
    said = list(zip(marks, score(model, asked, batch_size), strict=True))
    found, start = [], 0
    for fact in facts:
        mine = said[start : start + len(fact.options)]
        start += len(fact.options)
        likely = tuple(
            math.fsum(scored.logprobs[list(mark).index(option)] for mark, scored in mine) / len(mine)
            for option in fact.options
        )
        asked_once = Asked(fact.question or "", fact.options)
        found.append(row_about(fact, asked_once, Scored(likely, frozenset()), subset))
    return found
