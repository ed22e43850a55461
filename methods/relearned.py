"""Half of the facts to forget taught back: what was hidden of the others comes back with them."""

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
from unlearnbench.model.model import Model
from unlearnbench.model.source import ModelSource
from unlearnbench.registry import register


@register("relearned")
@dataclass(frozen=True, kw_only=True)
class Relearned(Method):
    """All weights are trained on T with the true answers, as the last of several methods `in_turn`.

    A metric that says another thing of V afterwards had overlooked what was there.
    """

    steps: Annotated[int, Field(ge=1)] = 20
    """Of training."""
    learning_rate: Annotated[float, Field(gt=0)] | None = None
    """Of AdamW; none given takes half of the model's own."""
    maintain_batch: Annotated[int, Field(ge=0)] = 32
    """Facts to keep in a step, …"""
    retain_batch: Annotated[int, Field(ge=0)] = 4
    """… and plain texts."""

    def resolved(self, source: ModelSource) -> Relearned:
        """With a learning rate that suits the model."""
        return self if self.learning_rate is not None else replace(self, learning_rate=source.learning_rate / 2)

    def localize(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Localization:
        return Localization.everywhere(model)

    def edit(self, model: Model, split: TrainingSplit, where: Localization, place: EditingPlace) -> History:
        """Teach. Raises `ValueError` on a method that is not resolved, `Diverged` as training does."""
        if self.learning_rate is None:
            raise ValueError("a method is resolved for a model before it trains: method.resolved(source)")
        course = Relearning(
            steps=self.steps,
            learning_rate=self.learning_rate,
            maintain_batch=self.maintain_batch,
            retain_batch=self.retain_batch,
        )
        lessons = truths(split.relearn_train)
        course.teach(model, lessons, place.retain, place.seed, kept=truths(split.maintain_train))
        return []
