"""Where facts were taught: the truth, as far as a model has it."""

from dataclasses import dataclass

from unlearnbench.editing.finetuning import FineTuning
from unlearnbench.editing.localizer import Localizer
from unlearnbench.registry import register
from unlearnbench.settings import preset


@register("planted")
@dataclass(frozen=True, kw_only=True)
class Planted(FineTuning):
    """Fine-tune the tensors into which the facts were taught."""

    localizer: Localizer = preset(Localizer, "planted")
    """Where to write."""
