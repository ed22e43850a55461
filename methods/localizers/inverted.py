"""The bottom of another localizer's ranking: if it is good, this is bad."""

from __future__ import annotations

from dataclasses import dataclass

from unlearnbench.editing.localization import Localization
from unlearnbench.editing.localizer import Localizer
from unlearnbench.editing.place import EditingPlace
from unlearnbench.errors import UsageError
from unlearnbench.facts import TrainingSplit
from unlearnbench.factset import FactsCard
from unlearnbench.model.model import Model
from unlearnbench.model.source import ModelSource
from unlearnbench.registry import register
from unlearnbench.settings import preset


@register("inverted")
@dataclass(frozen=True, kw_only=True)
class Inverted(Localizer):
    """The worst components in another localizer's eyes, of the kind and as many weights as those that it chooses."""

    localizer: Localizer = preset(Localizer, "fact_lookup")
    """Whose ranking is turned round."""

    def skip(self, facts: FactsCard, source: ModelSource) -> str | None:
        return self.localizer.skip(facts, source)

    def localize(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Localization:
        """Raises `UsageError` where the other does not rank."""
        where = self.localizer.localize(model, split, place)
        kinds = {name.partition(".")[0] for name in where.components}
        scores = {
            name: -score
            for name, score in where.scores.items()
            if name in model.components and name.partition(".")[0] in kinds
        }
        if not scores:
            raise UsageError(f"{self.localizer.name} ranks nothing, so there is no bottom of its ranking")
        return Localization.top(model, scores, model.size(where.tensors) / model.block_size, scores)
