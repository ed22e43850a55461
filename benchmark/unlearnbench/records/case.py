"""What is said of a model of which it is known whether it has the facts."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """One such model, and what tasks say of it."""

    model: str
    """The organism that it is made of."""
    way: str
    """How it hides facts; empty for the base and the oracle."""
    knows: bool
    """Whether the facts are in it."""
    seed: int
    afterwards: str | None
    """What was done to it in the end, where anything was: `relearned`, `rounded`."""
    says: Mapping[str, float]
    """The primary metric of each task."""
    attacks: frozenset[str]
    """Those of the tasks that are attacks: their metric is recovery."""
    invalid: str | None = None
    """Why it is no such model: it collapsed when it was made."""
