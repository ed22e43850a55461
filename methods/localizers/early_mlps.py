"""The first MLPs: is a chosen localization more than 'early'?"""

from __future__ import annotations

from dataclasses import dataclass

from unlearnbench.editing.localization import Localization
from unlearnbench.editing.localizer import Localizer, Share
from unlearnbench.editing.place import EditingPlace
from unlearnbench.facts import TrainingSplit
from unlearnbench.model.model import Model
from unlearnbench.registry import register


@register("early_mlps")
@dataclass(frozen=True, kw_only=True)
class EarlyMlps(Localizer):
    """The MLPs of the first blocks, up to the budget."""

    budget: Share = 0.2
    """Share of the weights in the blocks that may be trained."""

    def localize(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Localization:
        scores = {f"mlp.{block}": -float(block) for block in range(model.blocks)}
        return Localization.top(model, scores, self.budget)
