"""The middle MLPs, where causal tracing finds facts in larger models: a control by depth."""

from __future__ import annotations

from dataclasses import dataclass

from unlearnbench.editing.localization import Localization
from unlearnbench.editing.localizer import Localizer, Share
from unlearnbench.editing.place import EditingPlace
from unlearnbench.facts import TrainingSplit
from unlearnbench.model.model import Model
from unlearnbench.registry import register


@register("middle_mlps")
@dataclass(frozen=True, kw_only=True)
class MiddleMlps(Localizer):
    """The MLPs nearest to the middle of the blocks, up to the budget."""

    budget: Share = 0.2
    """Share of the weights in the blocks that may be trained."""

    def localize(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Localization:
        scores = {f"mlp.{block}": -abs(block - (model.blocks - 1) / 2) for block in range(model.blocks)}
        return Localization.top(model, scores, self.budget)
