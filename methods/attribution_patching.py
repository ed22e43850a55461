"""Attribution patching: train the components with the largest estimated effect."""

from dataclasses import dataclass

from unlearnbench.editing.finetuning import FineTuning
from unlearnbench.editing.localizer import Localizer
from unlearnbench.registry import register
from unlearnbench.settings import preset


@register("attribution_patching")
@dataclass(frozen=True, kw_only=True)
class AttributionPatching(FineTuning):
    """Fine-tune only the components that matter most for the answers."""

    localizer: Localizer = preset(Localizer, "attribution_patching")
    """Where to write."""
