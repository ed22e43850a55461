"""Causal tracing: train the components whose restoration brings the answer back."""

from dataclasses import dataclass

from unlearnbench.editing.finetuning import FineTuning
from unlearnbench.editing.localizer import Localizer
from unlearnbench.registry import register
from unlearnbench.settings import preset


@register("causal_tracing")
@dataclass(frozen=True, kw_only=True)
class CausalTracing(FineTuning):
    """Fine-tune only the components that causal tracing points to."""

    localizer: Localizer = preset(Localizer, "causal_tracing")
    """Where to write."""
