"""Fine-tuning: minimize an objective over the tensors that a localizer chose, against an adversary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from unlearnbench.editing.adversary import Adversary
from unlearnbench.editing.goal import EVERY, Goal
from unlearnbench.editing.keeping import Keeping
from unlearnbench.editing.localization import Localization
from unlearnbench.editing.localizer import Localizer
from unlearnbench.editing.method import History, Method
from unlearnbench.editing.objective import Objective
from unlearnbench.editing.room import refuse_without_room
from unlearnbench.editing.training import Course, finetune
from unlearnbench.facts import TrainingSplit
from unlearnbench.factset import FactsCard
from unlearnbench.model.source import ModelSource
from unlearnbench.settings import preset

if TYPE_CHECKING:
    from unlearnbench.editing.place import EditingPlace
    from unlearnbench.model.model import Model

Weight = Annotated[float, Field(ge=0)]
MOST_STEPS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class FineTuning(Method):
    """A localizer, an objective, an adversary and a course. A named method is a preset of these."""

    tuned_over: ClassVar[Mapping[str, Sequence[float]]] = {
        "learning_rate": (0.25, 0.5, 1.0),
        "forget_weight": (0.3, 1.0, 3.0),
    }

    localizer: Localizer = preset(Localizer, "everything")
    """Where to write."""
    objective: Objective = preset(Objective, "edit")
    """What is minimized on the facts to forget."""
    adversary: Adversary = preset(Adversary, "none")
    """Who perturbs the model while that is computed."""
    steps: Annotated[int, Field(ge=1, le=MOST_STEPS)] = 50
    """Optimizer steps, over which the learning rate is spread; with `until` the most of them."""
    until: Annotated[float, Field(gt=0, le=1)] | None = None
    """Stop as soon as the objective is reached on this share of T (the target is the likeliest choice; without a
    target, the truth is not) and maintain-dev has lost at most .05."""
    most_lost: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Stop as soon as maintain-dev has lost more than this share, and go back to the weights of the look before."""
    look_every: Annotated[int, Field(ge=1, le=MOST_STEPS)] | None = None
    """Steps between two looks at T and maintain-dev, which the history then shows; none given takes 5 where one of the
    two rules above needs it, and no look where none does."""
    learning_rate: Annotated[float, Field(ge=0)] | None = None
    """Peak learning rate; none given takes the model's own (organisms 2e-3, others 2e-5), the same for all."""
    batch_size: Annotated[int, Field(ge=1, le=MOST_STEPS)] = 64
    """Facts in each of the forget and the maintain batch of a step."""
    retain_batch: Annotated[int, Field(ge=1, le=MOST_STEPS)] = 8
    """Retain texts in a step."""
    forget_weight: Weight = 1.0
    """Weight of the objective's loss on the facts to forget."""
    maintain_weight: Weight = 1.0
    """Weight of the cross-entropy on facts to keep."""
    retain_weight: Weight = 1.0
    """Weight of the cross-entropy on plain text."""
    kl_weight: Weight = 0.0
    """Weight of KL(base ‖ edited) on plain text, the mean over tokens."""
    hidden_weight: Weight = 0.0
    """Weight of the squared change of the residual stream on plain text, relative to its square; a mean over blocks."""

    def skip(self, facts: FactsCard, source: ModelSource) -> str | None:
        """Facts must have what the objective needs, and the localizer must be able to work on the model."""
        lacking = sorted(self.objective.needs - facts.forms - {"reference"})
        if lacking:
            return f"objective {self.objective.name} needs facts with {', '.join(lacking)}, and {facts.label} has none"
        return self.localizer.skip(facts, source)

    def resolved(self, source: ModelSource) -> FineTuning:
        """With the model's own learning rate where none is given."""
        return self if self.learning_rate is not None else replace(self, learning_rate=source.learning_rate)

    def localize(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Localization:
        return self.localizer.localize(model, split, place)

    def edit(self, model: Model, split: TrainingSplit, where: Localization, place: EditingPlace) -> History:
        """Minimize the objective's terms, cross-entropy on facts to keep, and cross-entropy on plain text."""
        place = replace(place, trained=where.tensors)
        keeping = Keeping(self.maintain_weight, self.retain_weight, self.kl_weight, self.hidden_weight)
        if "reference" in self.objective.needs or keeping.compares:
            refuse_without_room(model, where.tensors)
            place = replace(place, reference=model.frozen_copy(where.tensors))
        own = self.objective.terms(model, split, place)
        terms = [replace(t, weight=t.weight * self.forget_weight) if t.about == "forget" else t for t in own]
        terms = [*(term for term in terms if term.weight), *keeping.terms(model, place)]
        return finetune(
            model,
            split,
            where,
            terms=terms,
            adversary=self.adversary,
            course=self.course(),
            place=place,
            goal=self._goal(model, split, where),
        )

    def _goal(self, model: Model, split: TrainingSplit, where: Localization) -> Goal | None:
        """Who looks at the model meanwhile, if anybody is to."""
        if self.until is None and self.most_lost is None and self.look_every is None:
            return None
        every = self.look_every or EVERY
        return Goal(model, self.objective, split, self.until, self.most_lost, every, where.tensors)

    def course(self) -> Course:
        """How training goes. Raises `ValueError` on a method that is not resolved."""
        if self.learning_rate is None:
            raise ValueError("a method is resolved for a model before it trains: method.resolved(source)")
        return Course(
            steps=self.steps,
            learning_rate=self.learning_rate,
            batch_size=self.batch_size,
            retain_batch=self.retain_batch,
        )
