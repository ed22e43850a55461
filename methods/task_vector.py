"""Task arithmetic: what training on the facts to forget adds to the weights is taken away from them.

Ilharco et al. (2023, arXiv 2212.04089), section 4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from unlearnbench.editing.adversary import Adversary
from unlearnbench.editing.finetuning import MOST_STEPS
from unlearnbench.editing.localization import Localization
from unlearnbench.editing.localizer import Localizer
from unlearnbench.editing.method import History, Method
from unlearnbench.editing.objective import forget_term, truths
from unlearnbench.editing.place import EditingPlace
from unlearnbench.editing.training import Course, finetune
from unlearnbench.facts import TrainingSplit
from unlearnbench.factset import FactsCard
from unlearnbench.model.model import Model
from unlearnbench.model.reading import answer_loss
from unlearnbench.model.source import ModelSource
from unlearnbench.registry import register
from unlearnbench.settings import made, preset

if TYPE_CHECKING:
    from unlearnbench.lazy import torch


@register("task_vector")
@dataclass(frozen=True, kw_only=True)
class TaskVector(Method):
    """θ₀ − scale · (θ₁ − θ₀), θ₁ being the model after more training on the facts to forget."""

    tuned_over: ClassVar[Mapping[str, Sequence[float]]] = {
        "learning_rate": (0.25, 0.5, 1.0),
        "scale": (0.3, 1.0, 3.0),
    }

    localizer: Localizer = preset(Localizer, "everything")
    """Where to write."""
    scale: Annotated[float, Field(gt=0)] = 1.0
    """How much of it is taken away."""
    steps: Annotated[int, Field(ge=1, le=MOST_STEPS)] = 50
    """Optimizer steps of that training."""
    learning_rate: Annotated[float, Field(ge=0)] | None = None
    """Its peak learning rate; none given takes the model's own (organisms 2e-3, others 2e-5)."""
    batch_size: Annotated[int, Field(ge=1, le=MOST_STEPS)] = 64
    """Facts in a step."""

    def skip(self, facts: FactsCard, source: ModelSource) -> str | None:
        return self.localizer.skip(facts, source)

    def resolved(self, source: ModelSource) -> TaskVector:
        """With the model's own learning rate where none is given."""
        return self if self.learning_rate is not None else replace(self, learning_rate=source.learning_rate)

    def localize(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Localization:
        return self.localizer.localize(model, split, place)

    def edit(self, model: Model, split: TrainingSplit, where: Localization, place: EditingPlace) -> History:
        """Trains, and goes the other way. Raises `ValueError` on a method that is not resolved."""
        if self.learning_rate is None:
            raise ValueError("a method is resolved for a model before it trains: method.resolved(source)")
        before: dict[str, torch.Tensor] = {n: model.parameters[n].detach().clone() for n in where.tensors}
        history = finetune(
            model,
            split,
            where,
            terms=[forget_term(lambda facts: answer_loss(model, truths(facts)))],
            adversary=made(Adversary, "none"),
            course=Course(self.steps, self.learning_rate, self.batch_size, retain_batch=1),
            place=place,
        )
        model.write({name: old - self.scale * (model.parameters[name].detach() - old) for name, old in before.items()})
        return history
