"""Attacks that come in variants: the same thing at several strengths, depths or wordings, the best chosen on T."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, TypeVar

from unlearnbench.asking.attack import Attack, attack_metrics, recovery
from unlearnbench.asking.prompts import ask_directly
from unlearnbench.asking.row import Coordinate, Metric, Row, accuracy_of
from unlearnbench.asking.sides import KEPT, RECOVERED, Side, has_never_known
from unlearnbench.facts import Fact, Split

if TYPE_CHECKING:
    from unlearnbench.asking.place import AskingPlace
    from unlearnbench.model.model import Model

Value = TypeVar("Value")
Asking = Callable[["Model", Sequence[Fact], str, int], list[Row]]
"""Scores facts as rows of a subset, so many prompts at once: one row for each fact."""


@dataclass(frozen=True)
class Variant:
    """One way of attacking."""

    at: Mapping[str, Coordinate]
    """What it is called: its coordinates."""
    context: Callable[[], AbstractContextManager[object]] = nullcontext
    """Within: the model is as this variant makes it."""
    ask: Asking = field(default=ask_directly)


@dataclass(frozen=True, kw_only=True)
class VariantAttack(Attack):
    """Every variant is tried; the attack is the one that finds most of T, and is scored on V.

    T and V are cut alike, so that choosing on T does not flatter. Where variants change the model (`capped`), those
    that lose more than `CAP` of the facts to keep do not count.
    """

    axes: ClassVar[tuple[str, ...]]
    """Names of the coordinates of its variants."""
    capped: ClassVar[bool] = True
    """Whether a variant has to leave a model that is good for something: not where it only reads."""
    holds_out: ClassVar[bool] = False
    """Whether variants are trained: then they are trained on one half of T, and chosen on the other."""
    CAP: ClassVar[float] = 0.1
    """Share of the accuracy on facts to keep that may be lost."""

    @abstractmethod
    def variants(self, model: Model, side: Side, split: Split, place: AskingPlace) -> Iterator[Variant]:
        """In the order in which they are tried; of equals, the first is chosen."""

    def metrics(self, split: Split) -> Sequence[Metric]:
        """Of the chosen variant, of all on average, of any (which guesses once for each, as with never-known facts)."""
        single, curve = attack_metrics(split), attack_metrics(split, "curve_", at=self.axes)
        # Without never-known facts the floor is one guess, and not one for each variant.
        several = [recovery(split, f"recovery_{value}", value) for value in ("mean", "any")]
        several = several if has_never_known(split) else several[:1]
        return [*single, *several, *curve]

    def base_rows(self, model: Model, split: Split, place: AskingPlace) -> list[Row]:
        """The base's own answers, without the attack."""
        return [
            row.saying(mean=row.values["accuracy"], any=row.values["accuracy"])
            for row in super().base_rows(model, split, place)
        ]

    def attack(self, model: Model, side: Side, split: Split, place: AskingPlace) -> list[Row]:
        """Try all variants."""
        first = side.subset == RECOVERED
        tried: list[_Tried] = []
        dev = split.maintain_dev or split.maintain_train
        known = accuracy_of(ask_directly(model, dev, KEPT, place.batch_size)) if self.capped else 1.0
        half = len(side.taught) // 2 if self.holds_out else 0
        chooses = side.taught[half:] if half else side.taught
        for one in self.variants(model, replace(side, taught=side.taught[:half] or side.taught), split, place):
            place.progress(len(tried), len(tried) + 1)
            with one.context():
                told = accuracy_of(one.ask(model, chooses, side.subset, place.batch_size))
                asked = one.ask(model, side.asked, side.subset, place.batch_size)
                kept = one.ask(model, split.maintain_test, KEPT, place.batch_size) if first else []
                enough = (
                    not self.capped
                    or accuracy_of(one.ask(model, dev, KEPT, place.batch_size)) >= (1 - self.CAP) * known
                )
            tried.append(_Tried(one.at, told, asked, kept, enough))
        return _told(tried)


@dataclass(frozen=True)
class _Tried:
    at: Mapping[str, Coordinate]
    told: float
    """Accuracy on T."""
    asked: Sequence[Row]
    kept: Sequence[Row]
    allowed: bool


def _told(tried: Sequence[_Tried]) -> list[Row]:
    """The rows of all variants, and of the chosen one those without coordinates."""
    allowed = [one for one in tried if one.allowed] or tried[:1]
    chosen = max(allowed, key=lambda one: one.told)
    right: dict[str, list[float]] = {}
    for one in allowed:
        for row in one.asked:
            right.setdefault(row.item, []).append(row.values["accuracy"])
    found = [
        row.saying(mean=math.fsum(right[row.item]) / len(right[row.item]), any=max(right[row.item]))
        for row in chosen.asked
    ]
    found += chosen.kept
    return found + [replace(row, at=one.at) for one in tried for row in (*one.asked, *one.kept)]


def several(text: str, kind: Callable[[str], Value]) -> list[Value]:
    """What a word such as `8+4+3` names, each once."""
    return list(dict.fromkeys(map(kind, text.split("+"))))
