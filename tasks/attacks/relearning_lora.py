"""The same with adapters: low-rank updates of all projections, which is what most attackers can afford."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from unlearnbench.asking.relearning import RelearningAttack
from unlearnbench.asking.sides import Side
from unlearnbench.editing.objective import truths
from unlearnbench.facts import Split
from unlearnbench.model.reading import Pair
from unlearnbench.registry import register


@register("relearning_lora")
@dataclass(frozen=True, kw_only=True)
class RelearningLora(RelearningAttack):
    """LoRA adapters are trained on T with the true answers, and V is asked."""

    rank: Annotated[int, Field(ge=1)] = 16
    """Of LoRA adapters on all projections of the blocks."""

    order: ClassVar[int] = 51
    share: ClassVar[float] = 2.0

    def lessons(self, side: Side, split: Split) -> Sequence[Pair]:
        """T, in its own prompts."""
        return truths(side.taught)
