"""Which facts a model knows: what it does not know can be neither forgotten nor kept."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unlearnbench.errors import UsageError
from unlearnbench.facts import Fact, Split, Subset
from unlearnbench.model.scoring import Scored, score_directly

if TYPE_CHECKING:
    from unlearnbench.model.model import Model

SUBSETS: Mapping[Subset, str] = {
    "relearn_train": "T",
    "relearn_test": "V",
    "maintain_train": "maintain-train",
    "maintain_dev": "maintain-dev",
    "maintain_test": "maintain-test",
}
"""Whose facts have to be known, and what they are called."""


@dataclass(frozen=True)
class KnownPart:
    """A split without the facts that the model does not know."""

    split: Split
    unknown: Mapping[str, int]
    """How many facts of each subset were left out."""
    scored: Mapping[tuple[str, str], Scored]
    """What the model finds of each fact of the whole split, by the fact's key."""

    def accuracy(self, facts: Sequence[Fact]) -> float:
        """The model's on these facts of the split, in their own wording."""
        return math.fsum(self.scored[fact.key].credit(0) for fact in facts) / len(facts)

    def told(self, whole: Split) -> str:
        """What was left out, in words."""
        counts = (f"{count} of {len(whole.facts(s))} in {SUBSETS[s]}" for s in SUBSETS if (count := self.unknown[s]))
        return ", ".join(counts)


def known_part(model: Model, split: Split, least: float, label: str) -> KnownPart:
    """Ask every fact in its own wording, and leave out those whose true answer has a probability below `least`.

    What is left need not be as balanced as the whole; never-known facts stay as they are. Raises `UsageError` where a
    subset that a run needs has nothing left.
    """
    facts = [fact for subset in SUBSETS for fact in split.facts(subset)]
    scored = {fact.key: one for fact, one in zip(facts, score_directly(model, facts), strict=True)}

    def known(fact: Fact) -> bool:
        return math.exp(scored[fact.key].logprobs[0]) >= least or least == 0

    unknown: dict[str, int] = {subset: sum(not known(fact) for fact in split.facts(subset)) for subset in SUBSETS}
    gone = [s for s in SUBSETS if s != "maintain_dev" and unknown[s] == len(split.facts(s))]
    if gone:
        forgotten, kept = (sum(map(known, facts)) for facts in (split.forget, split.maintain_test))
        raise UsageError(
            f"the model knows {forgotten} of the {len(split.forget)} facts to forget of {label} and {kept} of the"
            f" {len(split.maintain_test)} of maintain-test (p of the true answer ≥ {least:g}); nothing is left of"
            f" {', '.join(SUBSETS[s] for s in gone)}",
            f'choose facts that it knows, or keep all of them: --facts "{label}[known=0]"',
        )
    return KnownPart(split.only(known), unknown, scored)
