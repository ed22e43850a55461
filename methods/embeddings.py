"""The embeddings: what every localization inside the blocks is to be compared with."""

from dataclasses import dataclass

from unlearnbench.editing.finetuning import FineTuning
from unlearnbench.editing.localizer import Localizer
from unlearnbench.registry import register
from unlearnbench.settings import preset


@register("embeddings")
@dataclass(frozen=True, kw_only=True)
class Embeddings(FineTuning):
    """Fine-tune the input embeddings."""

    localizer: Localizer = preset(Localizer, "embeddings")
    """Where to write."""
