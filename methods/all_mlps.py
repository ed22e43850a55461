"""All MLPs: nothing but the layer type is chosen."""

from dataclasses import dataclass

from unlearnbench.editing.finetuning import FineTuning
from unlearnbench.editing.localizer import Localizer
from unlearnbench.registry import register
from unlearnbench.settings import preset


@register("all_mlps")
@dataclass(frozen=True, kw_only=True)
class AllMlps(FineTuning):
    """Fine-tune the MLP of every block."""

    localizer: Localizer = preset(Localizer, "all_mlps")
    """Where to write."""
