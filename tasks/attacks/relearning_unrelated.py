"""Does what was forgotten come back when the model is trained on plain text that has nothing to do with it?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from unlearnbench.asking.relearning import RelearningAttack
from unlearnbench.asking.sides import Side
from unlearnbench.asking.task import Battery
from unlearnbench.facts import Split
from unlearnbench.model.reading import Pair
from unlearnbench.registry import register


@register("relearning_unrelated")
@dataclass(frozen=True, kw_only=True)
class RelearningUnrelated(RelearningAttack):
    """All weights are trained on retain text alone, and V is asked: what comes back so easily was hardly hidden."""

    maintain_batch: Annotated[int, Field(ge=0)] = 0
    """Facts to keep in each step, …"""
    retain_batch: Annotated[int, Field(ge=1)] = 8
    """… and plain texts."""

    order: ClassVar[int] = 53
    battery: ClassVar[Battery] = "full"

    def lessons(self, side: Side, split: Split) -> Sequence[Pair]:
        """None."""
        return []
