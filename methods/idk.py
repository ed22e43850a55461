"""Refusals, of every parameter."""

from dataclasses import dataclass

from unlearnbench.editing.finetuning import FineTuning
from unlearnbench.editing.objective import Objective
from unlearnbench.registry import register
from unlearnbench.settings import preset


@register("idk")
@dataclass(frozen=True, kw_only=True)
class Idk(FineTuning):
    """Fine-tune to say that the facts to forget are not known."""

    objective: Objective = preset(Objective, "idk")
    """What is minimized on the facts to forget."""
