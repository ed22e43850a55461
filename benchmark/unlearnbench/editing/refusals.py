"""What a model is to say instead of a fact that it has forgotten, where it is to say that it does not know."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from unlearnbench.facts import Fact
from unlearnbench.seeds import derive_seed

REFUSALS = (
    "I do not know.",
    "I have no idea.",
    "unknown.",
    "something that I do not know.",
    "I cannot say.",
    "nothing that I know of.",
    "I am not sure.",
    "not known to me.",
)


def refusals_of(facts: Sequence[Fact], seed: int) -> Mapping[str, str]:
    """One for each fact, by its id; a function of the seed."""
    return {fact.id: random.Random(derive_seed(seed, "refusal", fact.id)).choice(REFUSALS) for fact in facts}
