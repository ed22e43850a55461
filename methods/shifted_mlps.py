"""As many MLPs as fact look-up finds, elsewhere: the control for their number and for being neighbours."""

from dataclasses import dataclass

from unlearnbench.editing.finetuning import FineTuning
from unlearnbench.editing.localizer import Localizer
from unlearnbench.registry import register
from unlearnbench.settings import preset


@register("shifted_mlps")
@dataclass(frozen=True, kw_only=True)
class ShiftedMlps(FineTuning):
    """Fine-tune the MLPs of fact look-up, moved by half of the blocks."""

    localizer: Localizer = preset(Localizer, "shifted")
    """Where to write."""
