"""When training has got as far as it was asked to: methods are then compared at equal success, not at equal effort.

One rule for all. At every fifth step, and at the last, the model is asked T (half of the facts to forget) and
maintain-dev, in their own wording. Training stops at the first of these steps at which the objective is reached on
at least the wanted share of T, and at most one in twenty of maintain-dev is known less than before. The number
of steps is the cap (the learning rate is spread over it); whoever meets it without success has a last row of history
that says so. An objective without a target is reached where the truth is no longer the likeliest choice: among five
choices, a model that never knew reaches .8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from unlearnbench.model.scoring import score_directly

if TYPE_CHECKING:
    from unlearnbench.editing.objective import Objective
    from unlearnbench.facts import Fact, TrainingSplit
    from unlearnbench.model.model import Model

EVERY = 5
LOST = 0.05
ROUNDING = 1e-9
"""So that exactly one in twenty may be lost."""


@dataclass
class Goal:
    """Looks at the model while it is trained. Made before the first step, since it remembers what was known then."""

    model: Model
    objective: Objective
    split: TrainingSplit
    share: float
    """Of T on which the objective is to be reached."""
    known: float = field(init=False)
    """Accuracy on maintain-dev before the edit; 1 where there is nothing in it."""

    def __post_init__(self) -> None:
        self.known = self._kept()

    def due(self, step: int, of: int) -> bool:
        """Whether it is looked at after so many steps."""
        return step % EVERY == 0 or step == of

    def look(self) -> dict[str, float]:
        """Where training has got: what the history of this step says besides its losses."""
        facts = self.split.relearn_train or self.split.forget
        reached = [self.objective.reached(fact, answer) for fact, answer in zip(facts, self._said(facts), strict=True)]
        return {"reached": sum(reached) / len(reached), "kept": self._kept()}

    def met(self, seen: dict[str, float]) -> bool:
        """Whether that is far enough."""
        return seen["reached"] >= self.share and seen["kept"] >= self.known - LOST - ROUNDING

    def _kept(self) -> float:
        facts = self.split.maintain_dev
        right = [fact.answer == answer for fact, answer in zip(facts, self._said(facts), strict=True)]
        return sum(right) / len(right) if right else 1.0

    def _said(self, facts: Sequence[Fact]) -> list[str]:
        """The likeliest choice of each fact."""
        found = score_directly(self.model, facts)
        return [fact.choices[one.decision] for fact, one in zip(facts, found, strict=True)]
