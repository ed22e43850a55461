"""All attentions: nothing but the layer type is chosen."""

from __future__ import annotations

from dataclasses import dataclass

from unlearnbench.editing.localization import Localization
from unlearnbench.editing.localizer import Localizer
from unlearnbench.editing.place import EditingPlace
from unlearnbench.facts import TrainingSplit
from unlearnbench.model.model import Model
from unlearnbench.registry import register


@register("all_attention")
@dataclass(frozen=True, kw_only=True)
class AllAttention(Localizer):
    """The attention of every block. It has no budget: it is the upper end of attention localizations."""

    def localize(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Localization:
        return Localization.of(model, [name for name in model.components if name.startswith("attention.")])
