"""Early MLPs: the control by depth for whatever finds early layers."""

from dataclasses import dataclass

from unlearnbench.editing.finetuning import FineTuning
from unlearnbench.editing.localizer import Localizer
from unlearnbench.registry import register
from unlearnbench.settings import preset


@register("early_mlps")
@dataclass(frozen=True, kw_only=True)
class EarlyMlps(FineTuning):
    """Fine-tune the first MLPs, up to the budget."""

    localizer: Localizer = preset(Localizer, "early_mlps")
    """Where to write."""
