"""What the base knows of the facts, looked at once, before anything is edited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unlearnbench.asking.prompts import chance
from unlearnbench.editing.known import known_part
from unlearnbench.facts import Split
from unlearnbench.model.scoring import known_share, refuse_indistinguishable

if TYPE_CHECKING:
    from unlearnbench.model.model import Model


@dataclass(frozen=True)
class Base:
    """A split without the facts that the base does not know, and how well it knows what is kept."""

    split: Split
    unknown: Mapping[str, int]
    """How many facts of each subset were left out."""
    kept: float
    """Accuracy on maintain-test, …"""
    never_known: float
    """… and on never-known facts; chance where there are none."""
    warnings: Sequence[str]
    """What should be known before the numbers are believed."""


def base_of(model: Model, split: Split, known: float, label: str) -> Base:
    """Look at a split. Raises `UsageError` for answers that the tokenizer cannot tell apart, and as `known_part`."""
    refuse_indistinguishable(model, [*split.forget, *split.maintain_train, *split.maintain_dev, *split.maintain_test])
    part = known_part(model, split, known, label)
    left, warnings = part.split, list[str]()
    forget, guess = part.accuracy(left.forget), chance(left.forget, left)
    if forget < (1 + guess) / 2:
        warnings.append(f"the base hardly knows the facts to forget: base {forget:.2f}, chance {guess:.2f}")
    if any(part.unknown.values()):
        warnings.append(f"facts that the base does not know (p < {known:g}) were left out: {part.told(split)}")
    never = left.never_known
    unknowing = known_share(model, never) if never else chance(left.maintain_test, left)
    return Base(
        split=left,
        unknown=part.unknown,
        kept=part.accuracy(left.maintain_test),
        never_known=unknowing,
        warnings=tuple(warnings),
    )
