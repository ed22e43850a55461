"""Random MLPs: the control that every chosen localization has to beat."""

from dataclasses import dataclass

from unlearnbench.editing.finetuning import FineTuning
from unlearnbench.editing.localizer import Localizer
from unlearnbench.registry import register
from unlearnbench.settings import preset


@register("random_mlps")
@dataclass(frozen=True, kw_only=True)
class RandomMlps(FineTuning):
    """Fine-tune MLPs drawn at random."""

    localizer: Localizer = preset(Localizer, "random_mlps")
    """Where to write."""
