"""Does the rest come back when half of what was forgotten is taught again? All weights are trained.

Deeb & Roger (2024, arXiv 2410.08827): facts of T and V are independent of each other, so whatever comes back of V was
still there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from unlearnbench.asking.relearning import RelearningAttack
from unlearnbench.asking.sides import Side
from unlearnbench.asking.task import Battery
from unlearnbench.editing.objective import truths
from unlearnbench.facts import Split
from unlearnbench.model.reading import Pair
from unlearnbench.registry import register


@register("relearning")
@dataclass(frozen=True, kw_only=True)
class RelearningOfAll(RelearningAttack):
    """All weights are trained on T with the true answers, and V is asked: what comes back was only hidden."""

    battery: ClassVar[Battery] = "quick"

    def lessons(self, side: Side, split: Split) -> Sequence[Pair]:
        """T, in its own prompts."""
        return truths(side.taught)
