"""Representation misdirection, of the MLPs up to the block that is misdirected."""

from dataclasses import dataclass

from unlearnbench.editing.finetuning import FineTuning, Weight
from unlearnbench.editing.localizer import Localizer
from unlearnbench.editing.objective import Objective
from unlearnbench.registry import register
from unlearnbench.settings import preset


@register("rmu")
@dataclass(frozen=True, kw_only=True)
class Rmu(FineTuning):
    """Fine-tune three early MLPs so that facts to forget become a random direction."""

    objective: Objective = preset(Objective, "rmu")
    """What is minimized on the facts to forget."""
    localizer: Localizer = preset(Localizer, "layers[range=16%-22%]")
    """Where to write: blocks 5 to 7 of 32, as published, and as deep in other models."""
    maintain_weight: Weight = 0.0
    """Weight of the cross-entropy on facts to keep."""
    retain_weight: Weight = 0.0
    """Weight of the cross-entropy on plain text."""
