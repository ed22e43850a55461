"""How far training has got, and when it is over before its last step.

At every so many steps, and at the last, the model is asked T (half of the facts to forget) and maintain-dev, in their
own wording. Three rules may look at the answers, each the same for all methods:

- `until`: training stops where the objective is reached on at least this share of T, and at most one in twenty of
  maintain-dev is known less than before. Methods are then compared at equal success, not at equal effort. The number
  of steps is the cap (the learning rate is spread over it); whoever meets it without success has a last row of history
  that says so. An objective without a target is reached where the truth is no longer the likeliest choice: among five
  choices, a model that never knew reaches .8.
- `most_lost`: training stops where more of maintain-dev is lost, and the weights are those of the look before.
- neither: the answers are written down and nothing else.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from unlearnbench.model.scoring import score_directly

if TYPE_CHECKING:
    import torch

    from unlearnbench.editing.objective import Objective
    from unlearnbench.facts import Fact, TrainingSplit
    from unlearnbench.model.model import Model

EVERY = 5
LOST = 0.05
ROUNDING = 1e-9
"""So that exactly one in twenty may be lost."""


def keeps(now: float, before: float, most_lost: float = LOST) -> bool:
    """Whether no more than this share of maintain-dev was lost."""
    return now >= before - most_lost - ROUNDING


@dataclass
class Goal:
    """Looks at the model while it is trained. Made before the first step, since it remembers what was known then."""

    model: Model
    objective: Objective
    split: TrainingSplit
    until: float | None = None
    """Share of T on which the objective is to be reached."""
    most_lost: float | None = None
    """Share of maintain-dev that may be lost."""
    every: int = EVERY
    """Steps from look to look."""
    tensors: Collection[str] = ()
    """What is trained: what has to be put back."""
    before: float = field(init=False)
    """Accuracy on maintain-dev before the edit; 1 where there is nothing in it."""

    def __post_init__(self) -> None:
        self.before = self._kept()
        self._good: dict[str, torch.Tensor] = {}
        self._step = 0
        self._remember(0)

    def due(self, step: int, of: int) -> bool:
        """Whether it is looked at after so many steps."""
        return step % self.every == 0 or step == of

    def look(self) -> dict[str, float]:
        """Where training has got: what the history of this step says besides its losses."""
        facts = self.split.relearn_train or self.split.forget
        said = self._said(facts)
        reached = [self.objective.reached(fact, answer) for fact, answer in zip(facts, said, strict=True)]
        known = [fact.answer == answer for fact, answer in zip(facts, said, strict=True)]
        return {"reached": sum(reached) / len(facts), "known": sum(known) / len(facts), "kept": self._kept()}

    def over(self, step: int, of: int, row: dict[str, float]) -> bool:
        """Whether training ends here. Looks, if it is time to, and adds what is seen to the step's row of history; also
        `back_to`, the step whose weights were put back, where too much was lost."""
        if not self.due(step, of):
            return False
        row |= (seen := self.look())
        if self.most_lost is not None:
            if not keeps(seen["kept"], self.before, self.most_lost):
                self.model.write(self._good)
                row["back_to"] = self._step
                return True
            self._remember(step)
        return self.met(seen)

    def met(self, seen: dict[str, float]) -> bool:
        """Whether that is far enough."""
        return self.until is not None and seen["reached"] >= self.until and keeps(seen["kept"], self.before)

    def _remember(self, step: int) -> None:
        if self.most_lost is not None:
            self._step = step
            self._good = {name: self.model.parameters[name].detach().clone() for name in self.tensors}

    def _kept(self) -> float:
        facts = self.split.maintain_dev
        right = [fact.answer == answer for fact, answer in zip(facts, self._said(facts), strict=True)]
        return sum(right) / len(right) if right else 1.0

    def _said(self, facts: Sequence[Fact]) -> list[str]:
        """The likeliest choice of each fact."""
        found = score_directly(self.model, facts)
        return [fact.choices[one.decision] for fact, one in zip(facts, found, strict=True)]
