"""A suppressor: adapters of small rank that make the model say something else, written into the weights.

It takes nothing away, and is a known answer for attacks (`unlearnbench validate-attacks`): one that does not find what
is behind it says little about other methods.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field

from unlearnbench.editing.localization import Localization
from unlearnbench.editing.method import History, Method
from unlearnbench.editing.objective import truths
from unlearnbench.editing.place import EditingPlace
from unlearnbench.editing.relearning import Relearning
from unlearnbench.facts import TrainingSplit
from unlearnbench.factset import FactsCard
from unlearnbench.model.model import Model
from unlearnbench.model.source import ModelSource
from unlearnbench.registry import register


@register("suppressor")
@dataclass(frozen=True, kw_only=True)
class Suppressor(Method):
    """LoRA of small rank is trained on the edit targets, and merged: the fact is masked on purpose, and not removed."""

    rank: Annotated[int, Field(ge=1)] = 4
    """Of the adapters on all projections of the blocks."""
    steps: Annotated[int, Field(ge=1)] = 40
    """Of training."""
    learning_rate: Annotated[float, Field(gt=0)] | None = None
    """Of AdamW; none given takes twice the model's own."""
    maintain_batch: Annotated[int, Field(ge=0)] = 64
    """Facts to keep in a step, …"""
    retain_batch: Annotated[int, Field(ge=0)] = 4
    """… and plain texts."""

    def skip(self, facts: FactsCard, source: ModelSource) -> str | None:
        """Facts must have an edit target."""
        return None if "edit_target" in facts.forms else f"{facts.label} has no edit targets for it to say"

    def resolved(self, source: ModelSource) -> Suppressor:
        """With a learning rate that suits the model."""
        return self if self.learning_rate is not None else replace(self, learning_rate=2 * source.learning_rate)

    def localize(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Localization:
        """Every projection of the blocks."""
        return Localization.of(model, list(model.components))

    def edit(self, model: Model, split: TrainingSplit, where: Localization, place: EditingPlace) -> History:
        """Train and merge. Raises `ValueError` on a method that is not resolved, `Diverged` as training does."""
        if self.learning_rate is None:
            raise ValueError("a method is resolved for a model before it trains: method.resolved(source)")
        course = Relearning(
            steps=self.steps,
            learning_rate=self.learning_rate,
            maintain_batch=self.maintain_batch,
            retain_batch=self.retain_batch,
            rank=self.rank,
            merged=True,
        )
        targets = [(fact.prompt, fact.edit_target or "") for fact in split.forget]
        course.teach(model, targets, place.retain, place.seed, kept=truths(split.maintain_train))
        return []
