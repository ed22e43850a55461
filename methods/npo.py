"""Negative preference optimization, of every parameter."""

from dataclasses import dataclass

from unlearnbench.editing.finetuning import FineTuning
from unlearnbench.editing.objective import Objective
from unlearnbench.registry import register
from unlearnbench.settings import preset


@register("npo")
@dataclass(frozen=True, kw_only=True)
class Npo(FineTuning):
    """Fine-tune so that true answers become unlikelier than before the edit."""

    objective: Objective = preset(Objective, "npo")
    """What is minimized on the facts to forget."""
