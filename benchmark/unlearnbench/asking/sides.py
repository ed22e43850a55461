"""What an attack is made on: facts that were forgotten, and as many that nobody ever taught."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from unlearnbench.facts import Fact, Split
from unlearnbench.seeds import derive_seed
from unlearnbench.strata import cut

RECOVERED, NEVER_KNOWN, BASE, KEPT = "relearn_test", "never_known", "base", "maintain"
"""Subsets of an attack's rows: V after the attack, never-known facts after the same attack, V as the base answers it
without any attack, and facts to keep after the attack."""


@dataclass(frozen=True)
class Side:
    """Two halves of some facts: the attacker is told one, and the other is asked."""

    taught: Sequence[Fact]
    asked: Sequence[Fact]
    subset: str
    """What the rows about `asked` are called."""


def has_never_known(split: Split) -> bool:
    """Whether there are enough for two halves."""
    return len(split.never_known) > 1


def sides_of(split: Split) -> list[Side]:
    """T and V; then, where there are any, never-known facts cut alike: by answer, and no more of them.

    What the same attack finds of these it did not bring back, but teach or guess. They are cut alike for all attacks,
    so that it can be told which of them *some* attack finds.
    """
    found = [Side(split.relearn_train, split.relearn_test, RECOVERED)]
    if has_never_known(split):
        rng = random.Random(derive_seed(0, "never-known halves", *(fact.id for fact in split.never_known)))
        taught, asked = cut(split.never_known, lambda fact: (fact.relation, fact.answer), (0.5, 0.5), rng)
        found.append(Side(taught[: len(split.relearn_train)], asked[: len(split.relearn_test)], NEVER_KNOWN))
    return found
