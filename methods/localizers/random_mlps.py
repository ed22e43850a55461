"""Random MLPs: the control that every chosen localization has to beat."""

from __future__ import annotations

from dataclasses import dataclass

from unlearnbench.editing.localization import Localization
from unlearnbench.editing.localizer import Localizer, Share
from unlearnbench.editing.place import EditingPlace
from unlearnbench.facts import TrainingSplit
from unlearnbench.model.model import Model
from unlearnbench.registry import register


@register("random_mlps")
@dataclass(frozen=True, kw_only=True)
class RandomMlps(Localizer):
    """MLPs drawn at random; another draw for every seed."""

    budget: Share = 0.2
    """Share of the weights in the blocks that may be trained."""

    def localize(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Localization:
        mlps = [name for name in model.components if name.startswith("mlp.")]
        return Localization.random(model, mlps, self.budget, place.seed)
