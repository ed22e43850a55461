"""Full fine-tuning: every parameter may change."""

from dataclasses import dataclass

from unlearnbench.editing.finetuning import FineTuning
from unlearnbench.editing.localizer import Localizer
from unlearnbench.registry import register
from unlearnbench.settings import preset


@register("full_finetune")
@dataclass(frozen=True, kw_only=True)
class FullFinetune(FineTuning):
    """Fine-tune every parameter."""

    localizer: Localizer = preset(Localizer, "everything")
    """Where to write."""
