"""Random components of both kinds: the control for localizations that choose among all."""

from __future__ import annotations

from dataclasses import dataclass

from unlearnbench.editing.localization import Localization
from unlearnbench.editing.localizer import Localizer, Share
from unlearnbench.editing.place import EditingPlace
from unlearnbench.facts import TrainingSplit
from unlearnbench.model.model import Model
from unlearnbench.registry import register


@register("random_components")
@dataclass(frozen=True, kw_only=True)
class RandomComponents(Localizer):
    """Attentions and MLPs drawn at random; another draw for every seed."""

    budget: Share = 0.2
    """Share of the weights in the blocks that may be trained."""

    def localize(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Localization:
        return Localization.random(model, model.components, self.budget, place.seed)
