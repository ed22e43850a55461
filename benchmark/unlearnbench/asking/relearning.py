"""Relearning attacks: some facts are taught back to a copy of the model, and others are asked."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from unlearnbench.asking.attack import Attack, attack_metrics
from unlearnbench.asking.prompts import ask_directly
from unlearnbench.asking.row import Metric, Row, accuracy_of
from unlearnbench.asking.sides import KEPT, RECOVERED, Side
from unlearnbench.editing.objective import truths
from unlearnbench.editing.relearning import Relearning, Schedule
from unlearnbench.errors import Diverged
from unlearnbench.facts import Split
from unlearnbench.model.reading import Pair
from unlearnbench.model.scoring import known_share
from unlearnbench.model.source import ModelSource

if TYPE_CHECKING:
    from unlearnbench.asking.place import AskingPlace
    from unlearnbench.model.model import Model

LOOKS = (0, 1, 2, 5, 10, 20, 30, 50, 100, 200, 500, 1000, 2000, 5000)
RETRIES = 3
"""How often an attack that is not finite is tried again, each time at a tenth of the rate."""


@dataclass(frozen=True)
class Look:
    """What is known after some steps."""

    asked: Sequence[Row]
    kept: Sequence[Row]
    dev: float
    """Accuracy on facts to keep that are not asked otherwise: the cap looks at these."""

    @property
    def accuracy(self) -> float:
        """On what is asked."""
        return accuracy_of(self.asked)


@dataclass(frozen=True, kw_only=True)
class RelearningAttack(Attack):
    """A copy is trained on what the attacker has, beside plain text; V is asked on the way.

    What the attack comes to is the worst case over the steps that were looked at, the untouched model among them, at
    which no more than `cap` of the facts to keep is lost: an attacker who destroys the model does not count. The same
    rule holds for never-known facts, so that ρ does not profit from the choice. Where the loss is not finite, it is
    tried again at a tenth of the rate (`diverged` says so).
    """

    steps: Annotated[int, Field(ge=1)] = 30
    """Of the attack."""
    learning_rate: Annotated[float, Field(gt=0)] | None = None
    """Of AdamW; by default in proportion to the model's own."""
    batch_size: Annotated[int, Field(ge=0)] = 0
    """Lessons in a step; 0 for all."""
    maintain_batch: Annotated[int, Field(ge=0)] = 32
    """Facts to keep beside them in each step, …"""
    retain_batch: Annotated[int, Field(ge=0)] = 4
    """… and plain texts: an attacker wants a model that is good for something."""
    rank: Annotated[int, Field(ge=0)] = 0
    """Of LoRA adapters on all projections of the blocks; 0 trains all weights."""
    schedule: Schedule = "constant"
    """Of the learning rate."""
    cap: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Share of the accuracy on facts to keep that the attack may cost."""

    order: ClassVar[int] = 50
    share: ClassVar[float] = 0.5
    """Of the model's own learning rate."""

    @abstractmethod
    def lessons(self, side: Side, split: Split) -> Sequence[Pair]:
        """Prompts and answers that are taught: none, for an attack with plain text alone."""

    def resolved(self, source: ModelSource) -> RelearningAttack:
        """With a learning rate that suits the model."""
        if self.learning_rate is not None:
            return self
        return replace(self, learning_rate=self.share * source.learning_rate)

    def metrics(self, split: Split) -> Sequence[Metric]:
        """Recovery at the worst step, its area under the curve over steps, and the curves."""
        single, curve = attack_metrics(split), attack_metrics(split, "curve_", at=("step",))
        area = replace(single[0], name="recovery_area", value="area")
        return [*single, area, Metric("diverged", "diverged", RECOVERED, "general", "min"), *curve]

    def base_rows(self, model: Model, split: Split, place: AskingPlace) -> list[Row]:
        """Nothing is taught, so that the area is what is known."""
        rows = super().base_rows(model, split, place)
        return [row.saying(area=row.values["accuracy"]) for row in rows]

    def rows(self, model: Model, split: Split, place: AskingPlace) -> list[Row]:
        """Both sides at the same rate: at the first of which neither diverges."""
        for tried in range(RETRIES):
            with suppress(Diverged):
                return self._slowed(tried, model, split, place)
        return self._slowed(RETRIES, model, split, place)

    def _slowed(self, tried: int, model: Model, split: Split, place: AskingPlace) -> list[Row]:
        """At a tenth of the rate for each time that it was tried. Rows of V say whether it had to be slowed down."""
        slower = replace(self, learning_rate=self._rate() / 10**tried)
        return [
            row.saying(diverged=float(tried > 0)) if row.subset == RECOVERED and not row.at else row
            for row in super(RelearningAttack, slower).rows(model, split, place)
        ]

    def attack(self, model: Model, side: Side, split: Split, place: AskingPlace) -> list[Row]:
        """Teach, looking on the way. Raises `Diverged` where the loss is no number."""
        course = Relearning(
            self.steps,
            self._rate(),
            self.batch_size,
            self.maintain_batch,
            self.retain_batch,
            self.rank,
            self.schedule,
        )
        return self._rows(looked(model, course, self.lessons(side, split), side, split, place), side)

    def _rate(self) -> float:
        if self.learning_rate is None:
            raise ValueError("a task is resolved for a model before it is asked: task.resolved(source)")
        return self.learning_rate

    def _rows(self, seen: Mapping[int, Look], side: Side) -> list[Row]:
        worst = seen[worst_of(seen, self.cap)]
        areas = areas_of(seen)
        found = [row.saying(area=areas[row.item]) for row in worst.asked]
        for step, look in seen.items():
            found += [replace(row, at={"step": step}) for row in look.asked]
        if side.subset == RECOVERED:
            found += worst.kept
            found += [replace(row, at={"step": step}) for step, look in seen.items() for row in look.kept]
        return found


def looked(
    model: Model, course: Relearning, lessons: Sequence[Pair], side: Side, split: Split, place: AskingPlace
) -> dict[int, Look]:
    """What is known after some of the steps of a course; the model is put back."""
    seen: dict[int, Look] = {}
    dev = split.maintain_dev or split.maintain_train

    def look(step: int) -> None:
        place.progress(step, course.steps)
        kept = ask_directly(model, split.maintain_test, KEPT, place.batch_size) if side.subset == RECOVERED else []
        asked = ask_directly(model, side.asked, side.subset, place.batch_size)
        seen[step] = Look(asked, kept, known_share(model, dev))

    looks = {step for step in LOOKS if step < course.steps} | {course.steps}
    with model.restored(() if course.rank else None):
        kept = truths(split.maintain_train)
        course.teach(model, lessons, place.retain, place.seed, kept=kept, look=look, looks=looks)
    return seen


def worst_of(seen: Mapping[int, Look], cap: float) -> int:
    """The step at which most is known of what is asked, among those that keep enough; the earliest of several."""
    allowed = [step for step, look in seen.items() if look.dev >= (1 - cap) * seen[min(seen)].dev]
    return max(allowed, key=lambda step: (seen[step].accuracy, -step))


def areas_of(seen: Mapping[int, Look]) -> dict[str, float]:
    """Of every item, the mean accuracy over all steps, by the trapezoid rule."""
    steps = sorted(seen)
    values = {step: {row.item: row.values["accuracy"] for row in seen[step].asked} for step in steps}
    found = {}
    for item in values[steps[0]]:
        parts = [
            (after - before) * (values[before][item] + values[after][item]) / 2 for before, after in pairwise(steps)
        ]
        found[item] = sum(parts) / (steps[-1] - steps[0])
    return found
