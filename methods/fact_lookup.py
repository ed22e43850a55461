"""Fact look-up: train the MLPs that put the fact at the subject."""

from dataclasses import dataclass

from unlearnbench.editing.finetuning import FineTuning
from unlearnbench.editing.localizer import Localizer
from unlearnbench.registry import register
from unlearnbench.settings import preset


@register("fact_lookup")
@dataclass(frozen=True, kw_only=True)
class FactLookup(FineTuning):
    """Fine-tune only the MLPs that look the fact up."""

    localizer: Localizer = preset(Localizer, "fact_lookup")
    """Where to write."""
