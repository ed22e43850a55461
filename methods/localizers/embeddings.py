"""The input embeddings: does an edit anywhere the name passes do as well?"""

from __future__ import annotations

from dataclasses import dataclass

from unlearnbench.editing.localization import Localization
from unlearnbench.editing.localizer import Localizer
from unlearnbench.editing.place import EditingPlace
from unlearnbench.facts import TrainingSplit
from unlearnbench.model.model import EMBEDDINGS, Model
from unlearnbench.registry import register


@register("embeddings")
@dataclass(frozen=True, kw_only=True)
class Embeddings(Localizer):
    """The vectors of the tokens that are read; where they are tied, those that are predicted, too."""

    def localize(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Localization:
        return Localization.of(model, [EMBEDDINGS])
