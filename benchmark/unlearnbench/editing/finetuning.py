"""Fine-tuning: minimize an objective over the tensors that a localizer chose, against an adversary."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from unlearnbench.editing.adversary import Adversary
from unlearnbench.editing.goal import Goal
from unlearnbench.editing.localization import Localization
from unlearnbench.editing.localizer import Localizer
from unlearnbench.editing.method import History, Method
from unlearnbench.editing.objective import Objective, Term
from unlearnbench.editing.training import Course, finetune
from unlearnbench.facts import FactsCard, TrainingSplit
from unlearnbench.model.reading import answer_loss, text_loss
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
    target, the truth is not) and maintain-dev has lost at most .05; looked at every fifth step."""
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
        if "reference" in self.objective.needs:
            place = replace(place, reference=model.frozen_copy())
        own = self.objective.terms(model, split, place)
        terms = [replace(t, weight=t.weight * self.forget_weight) if t.about == "forget" else t for t in own]
        terms += [
            Term(
                "maintain",
                lambda b: answer_loss(model, [(f.prompt, f.answer) for f in b.maintain]),
                self.maintain_weight,
                about="maintain",
            ),
            Term("retain", lambda b: text_loss(model, b.retain), self.retain_weight),
        ]
        goal = Goal(model, self.objective, split, self.until) if self.until is not None else None
        return finetune(
            model, split, where, terms=terms, adversary=self.adversary, course=self.course(), place=place, goal=goal
        )

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
