"""Preference of refusals, of every parameter."""

from dataclasses import dataclass

from unlearnbench.editing.finetuning import FineTuning
from unlearnbench.editing.objective import Objective
from unlearnbench.registry import register
from unlearnbench.settings import preset


@register("dpo")
@dataclass(frozen=True, kw_only=True)
class Dpo(FineTuning):
    """Fine-tune so that a refusal gains on the true answer."""

    objective: Objective = preset(Objective, "dpo")
    """What is minimized on the facts to forget."""
