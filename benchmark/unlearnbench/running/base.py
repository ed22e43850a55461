"""What the base knows of the facts, looked at once, before anything is edited."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unlearnbench.asking.prompts import ask_directly, chance
from unlearnbench.asking.row import Row
from unlearnbench.errors import UsageError
from unlearnbench.facts import Split
from unlearnbench.model.scoring import refuse_indistinguishable

if TYPE_CHECKING:
    from unlearnbench.model.model import Model

BATCH = 64


@dataclass(frozen=True)
class Base:
    """A split without the facts that the base does not know, and how well it knows the others."""

    split: Split
    unknown: Mapping[str, int]
    """How many facts of each subset were left out."""
    forget: float
    """Accuracy on the facts to forget, …"""
    kept: float
    """… on those of maintain-test, …"""
    never_known: float
    """… and on never-known ones; chance where there are none."""
    warnings: Sequence[str]
    """What should be known before the numbers are believed."""


def base_of(model: Model, split: Split, known: float, label: str) -> Base:
    """Ask the model every fact in its own wording, and leave out those whose answer it gives less than `known`.

    Raises `UsageError` for facts whose answers the tokenizer cannot tell apart, and where too few are left.
    """
    refuse_indistinguishable(model, [*split.forget, *split.maintain_train, *split.maintain_dev, *split.maintain_test])
    asked = {s: ask_directly(model, split.facts(s), s, BATCH) for s in split.__dataclass_fields__}  # type: ignore[arg-type]
    never = asked.pop("never_known")
    able = {(row.subset, row.item) for rows in asked.values() for row in rows if row.values["p_true"] >= known}
    unknown = {s: sum((s, row.item) not in able for row in rows) for s, rows in asked.items()}
    ids = {item for _, item in able}
    if not all(len(rows) > unknown[s] or s == "maintain_dev" for s, rows in asked.items()):
        forgotten = [*asked["relearn_train"], *asked["relearn_test"]]
        left = sum(row.item in ids for row in forgotten)
        raise UsageError(
            f"the model knows {left} of the {len(forgotten)} facts to forget of {label}, and"
            f" {sum(row.item in ids for row in asked['maintain_test'])} of {len(asked['maintain_test'])} to keep"
            f" (p of the true answer ≥ {known:g})",
            f"choose facts that it knows, or keep all of them: --facts {label}[known=0]",
        )
    whole = split.only(lambda fact: fact.id in ids)
    forget = _right(row for s in ("relearn_train", "relearn_test") for row in asked[s] if row.item in ids)
    kept = _right(row for row in asked["maintain_test"] if row.item in ids)
    guess = chance(whole.forget, whole)
    warnings = []
    if forget < (1 + guess) / 2:
        warnings.append(f"the base hardly knows the facts to forget: base {forget:.2f}, chance {guess:.2f}")
    if any(unknown.values()):
        left_out = ", ".join(
            f"{count} of {len(asked[s])} in {s.replace('_', '-')}" for s, count in unknown.items() if count
        )
        warnings.append(f"facts that the base does not know (p < {known:g}) were left out: {left_out}")
    unknowing = _right(never) if never else chance(whole.maintain_test, whole)
    return Base(whole, unknown, forget, kept, unknowing, tuple(warnings))


def _right(rows: Iterable[Row]) -> float:
    values = [row.values["accuracy"] for row in rows]
    return math.fsum(values) / len(values)
