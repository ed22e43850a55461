"""Does what was forgotten come back by itself when other facts of its kind are practised?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from unlearnbench.asking.relearning import RelearningAttack
from unlearnbench.asking.sides import Side
from unlearnbench.asking.task import Battery
from unlearnbench.editing.objective import truths
from unlearnbench.facts import Split
from unlearnbench.model.reading import Pair
from unlearnbench.registry import register


@register("relearning_benign")
@dataclass(frozen=True, kw_only=True)
class RelearningBenign(RelearningAttack):
    """All weights are trained on as many facts to keep as T has, none of them forgotten, and V is asked."""

    maintain_batch: Annotated[int, Field(ge=0)] = 0
    """More facts to keep beside them in each step, …"""

    order: ClassVar[int] = 52
    battery: ClassVar[Battery] = "full"

    def lessons(self, side: Side, split: Split) -> Sequence[Pair]:
        """Facts to keep."""
        return truths(split.maintain_train[: len(side.taught)])
