"""Circuit breaking, of every parameter."""

from dataclasses import dataclass

from unlearnbench.editing.finetuning import FineTuning, Weight
from unlearnbench.editing.objective import Objective
from unlearnbench.registry import register
from unlearnbench.settings import preset


@register("circuit_breaker")
@dataclass(frozen=True, kw_only=True)
class CircuitBreaker(FineTuning):
    """Fine-tune states on the facts to forget away from what they were."""

    objective: Objective = preset(Objective, "circuit_breaker")
    """What is minimized on the facts to forget."""
    maintain_weight: Weight = 0.0
    """Weight of the cross-entropy on facts to keep."""
    retain_weight: Weight = 0.0
    """Weight of the cross-entropy on plain text."""
