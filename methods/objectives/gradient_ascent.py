"""Gradient ascent: the true answers' cross-entropy is to grow, without end.

The oldest objective (Jang et al., 2023, arXiv 2210.01504), and a lower anchor rather than a competitor: nothing bounds
it, so that it is used with a rule that ends it (`most_lost`), as the method of this name is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from unlearnbench.editing.objective import Objective, Term, forget_term, truths
from unlearnbench.editing.place import EditingPlace
from unlearnbench.facts import TrainingSplit
from unlearnbench.model.model import Model
from unlearnbench.model.reading import answer_loss
from unlearnbench.registry import register


@register("gradient_ascent")
@dataclass(frozen=True, kw_only=True)
class GradientAscent(Objective):
    """mean ln p over the answer tokens: minus their cross-entropy."""

    def terms(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Sequence[Term]:
        """One term."""
        return [forget_term(lambda facts: -answer_loss(model, truths(facts)))]
