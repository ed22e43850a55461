"""Which facts a model knows: what it does not know can be neither forgotten nor kept."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from unlearnbench.errors import UsageError
from unlearnbench.facts import Fact, Split, Subset
from unlearnbench.model.scoring import Asked, score

if TYPE_CHECKING:
    from unlearnbench.model.model import Model

BATCH = 64
SUBSETS = cast(
    dict[Subset, str],
    {
        "relearn_train": "T",
        "relearn_test": "V",
        "maintain_train": "maintain-train",
        "maintain_dev": "maintain-dev",
        "maintain_test": "maintain-test",
    },
)
"""Whose facts have to be known, and what they are called."""


@dataclass(frozen=True)
class KnownPart:
    """A split without the facts that the model does not know."""

    split: Split
    unknown: Mapping[Subset, int]
    """How many facts of each subset were left out."""

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
    found = score(model, [Asked(fact.prompt, fact.choices) for fact in facts], BATCH)
    p_true = {_key(fact): math.exp(one.logprobs[0]) for fact, one in zip(facts, found, strict=True)}

    def known(fact: Fact) -> bool:
        return p_true[_key(fact)] >= least or least == 0

    unknown = {subset: sum(not known(fact) for fact in split.facts(subset)) for subset in SUBSETS}
    gone = [s for s in SUBSETS if s != "maintain_dev" and unknown[s] == len(split.facts(s))]
    if gone:
        forgotten, kept = (sum(map(known, facts)) for facts in (split.forget, split.maintain_test))
        raise UsageError(
            f"the model knows {forgotten} of the {len(split.forget)} facts to forget of {label} and {kept} of the"
            f" {len(split.maintain_test)} of maintain-test (p of the true answer ≥ {least:g}); nothing is left of"
            f" {', '.join(SUBSETS[s] for s in gone)}",
            f'choose facts that it knows, or keep all of them: --facts "{label}[known=0]"',
        )
    return KnownPart(split.only(known), unknown)


def _key(fact: Fact) -> tuple[str, str]:
    return fact.subject, fact.relation
