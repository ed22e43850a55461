"""Simple negative preference optimization, of every parameter."""

from dataclasses import dataclass

from unlearnbench.editing.finetuning import FineTuning, Weight
from unlearnbench.editing.objective import Objective
from unlearnbench.registry import register
from unlearnbench.settings import preset


@register("simnpo")
@dataclass(frozen=True, kw_only=True)
class SimNpo(FineTuning):
    """Fine-tune so that true answers become unlikely, each token alike."""

    objective: Objective = preset(Objective, "simnpo")
    """What is minimized on the facts to forget."""
    forget_weight: Weight = 0.125
    """Weight of the objective's loss on the facts to forget."""
