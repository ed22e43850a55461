"""RelP: train the components with the largest relevance."""

from dataclasses import dataclass

from unlearnbench.editing.finetuning import FineTuning
from unlearnbench.editing.localizer import Localizer
from unlearnbench.registry import register
from unlearnbench.settings import preset


@register("relp")
@dataclass(frozen=True, kw_only=True)
class Relp(FineTuning):
    """Fine-tune only the components that relevance patching points to."""

    localizer: Localizer = preset(Localizer, "relp")
    """Where to write."""
