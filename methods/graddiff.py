"""Gradient difference, of every parameter."""

from dataclasses import dataclass

from unlearnbench.editing.finetuning import FineTuning
from unlearnbench.editing.objective import Objective
from unlearnbench.registry import register
from unlearnbench.settings import preset


@register("graddiff")
@dataclass(frozen=True, kw_only=True)
class GradDiff(FineTuning):
    """Fine-tune away from the true answers, and towards what is kept."""

    objective: Objective = preset(Objective, "graddiff")
    """What is minimized on the facts to forget."""
