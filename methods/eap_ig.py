"""EAP-IG: train the components with the largest edges."""

from dataclasses import dataclass

from unlearnbench.editing.finetuning import FineTuning
from unlearnbench.editing.localizer import Localizer
from unlearnbench.registry import register
from unlearnbench.settings import preset


@register("eap_ig")
@dataclass(frozen=True, kw_only=True)
class EapIg(FineTuning):
    """Fine-tune only the components that edge attribution points to."""

    localizer: Localizer = preset(Localizer, "eap_ig")
    """Where to write."""
