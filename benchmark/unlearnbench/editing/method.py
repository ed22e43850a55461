"""A method: *where* (localize) × *how* (objective) × *against whom* (adversary).

The defaults of the base class are full fine-tuning, so that an entry in `methods/` says only how it differs.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

from pydantic import Field

from unlearnbench.editing.adversary import adversary
from unlearnbench.editing.localization import Localization
from unlearnbench.editing.objectives import objective
from unlearnbench.editing.retain import RetainText
from unlearnbench.editing.training import Course, History, finetune
from unlearnbench.facts import FactSet, TrainingSplit
from unlearnbench.model.model import Model
from unlearnbench.model.source import ModelSource

Weight = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(gt=0, le=1)]
"""A share of the weights in the blocks."""


def _silent(done: int, steps: int) -> None:
    """No progress shown."""


@dataclass(frozen=True)
class Workplace:
    """What an edit may use besides the model and the split."""

    facts: FactSet
    source: ModelSource
    retain: RetainText
    seed: int
    """Derived for this run and this purpose; a method draws all its randomness from it."""
    progress: Callable[[int, int], None] = _silent


@dataclass(frozen=True, kw_only=True)
class Method:
    """Changes the weights so that the forget facts go. Fields are settings: shown, recorded and hashed."""

    objective: str = "edit"
    """How: `edit` (cross-entropy to the edit target) or `unlearn` (−log(1−p) on the true answer)."""
    adversary: str = "none"
    """Against whom the forget loss is minimized."""
    steps: Annotated[int, Field(ge=1)] = 50
    """Optimizer steps."""
    learning_rate: Annotated[float, Field(ge=0)] | None = None
    """Peak learning rate; none given takes the model's own (organisms 2e-3, others 2e-5), the same for all."""
    batch_size: Annotated[int, Field(ge=1)] = 64
    """Facts in each of the forget and the maintain batch of a step."""
    retain_batch: Annotated[int, Field(ge=1)] = 8
    """Retain texts in a step."""
    forget_weight: Weight = 1.0
    """Weight of the forget loss."""
    maintain_weight: Weight = 1.0
    """Weight of the cross-entropy on facts to keep."""
    retain_weight: Weight = 1.0
    """Weight of the cross-entropy on plain text."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    trains: ClassVar[bool] = True
    """Whether it trains at all; a reference that does not takes no settings."""

    def skip(self, facts: FactSet, source: ModelSource) -> str | None:
        """Why this method cannot be run on this model and these facts, or None."""
        return None

    def inputs(self, facts: FactSet, source: ModelSource) -> dict[str, str]:
        """Digests of what it reads besides the model and the facts; part of the run's identity."""
        return {}

    def localize(self, model: Model, split: TrainingSplit, place: Workplace) -> Localization:
        """Where to write. Must leave the model as it was."""
        return Localization.everywhere(model)

    def edit(self, model: Model, split: TrainingSplit, where: Localization, place: Workplace) -> History:
        """Change the tensors of `where`, and no others."""
        return finetune(
            model,
            split,
            where,
            objective=objective(self.objective),
            adversary=adversary(self.adversary),
            retain=place.retain,
            course=self.course(),
            seed=place.seed,
            progress=place.progress,
        )

    def resolved(self, source: ModelSource) -> "Method":
        """The same method with what the model decides filled in, as it is recorded and hashed."""
        return self if self.learning_rate is not None else replace(self, learning_rate=source.learning_rate)

    def course(self) -> Course:
        """How training goes. Raises `ValueError` on a method that is not resolved."""
        if self.learning_rate is None:
            raise ValueError("a method is resolved for a model before it trains: method.resolved(source)")
        return Course(
            steps=self.steps,
            learning_rate=self.learning_rate,
            batch_size=self.batch_size,
            retain_batch=self.retain_batch,
            forget_weight=self.forget_weight,
            maintain_weight=self.maintain_weight,
            retain_weight=self.retain_weight,
        )
