"""Gradient ascent, of every parameter, until too much else is lost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from unlearnbench.editing.finetuning import FineTuning, Weight
from unlearnbench.editing.objective import Objective
from unlearnbench.registry import register
from unlearnbench.settings import preset


@register("gradient_ascent")
@dataclass(frozen=True, kw_only=True)
class GradientAscent(FineTuning):
    """Fine-tune away from the true answers until one in twenty other facts is lost."""

    tuned_over: ClassVar[Mapping[str, Sequence[float]]] = {
        "learning_rate": (0.03, 0.1, 0.3),
        "most_lost": (0.2, 0.6, 1.0),
    }
    """Not over a weight: of a single loss it changes nothing."""

    objective: Objective = preset(Objective, "gradient_ascent")
    """What is minimized on the facts to forget."""
    maintain_weight: Weight = 0.0
    """Weight of the cross-entropy on facts to keep."""
    retain_weight: Weight = 0.0
    """Weight of the cross-entropy on plain text."""
    most_lost: Annotated[float, Field(ge=0, lt=1)] | None = 0.05
    """Stop as soon as maintain-dev has lost more than this share, and go back to the weights of the look before."""
    look_every: Annotated[int, Field(ge=1)] | None = 1
    """Steps between two looks at T and maintain-dev."""
