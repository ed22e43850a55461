"""As many components as another localizer chose, elsewhere: is it *these*, or is it *so many, next to each other*?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

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


@register("shifted")
@dataclass(frozen=True, kw_only=True)
class Shifted(Localizer):
    """What another localizer chooses, moved by some blocks; what falls off the end comes in at the beginning."""

    localizer: Localizer = preset(Localizer, "fact_lookup")
    """Whose choice is moved."""
    by: Annotated[int, Field(ge=1)] | None = None
    """How many blocks; half of them unless told otherwise."""

    def skip(self, facts: FactsCard, source: ModelSource) -> str | None:
        return self.localizer.skip(facts, source)

    def localize(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Localization:
        """Raises `UsageError` where the other chose no components of blocks."""
        where, by = self.localizer.localize(model, split, place), self.by or model.blocks // 2
        if not where.components or not set(where.components) <= set(model.components):
            raise UsageError(f"{self.localizer.name} chooses no components of blocks, and nothing else can be moved")
        moved = []
        for kind, _, block in (name.partition(".") for name in where.components):
            moved.append(f"{kind}.{(int(block) + by) % model.blocks}")
        return Localization.of(model, moved)
