"""Gradient difference: the forgotten answers' cross-entropy grows while that of what is kept falls.

Liu et al. (2022, arXiv 2203.12817); the bound is ours, since without one the difference has no minimum.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from unlearnbench.editing.objective import Objective, Term, forget_term, truths
from unlearnbench.editing.place import EditingPlace
from unlearnbench.facts import Fact, TrainingSplit
from unlearnbench.lazy import torch
from unlearnbench.model.model import Model
from unlearnbench.model.reading import answer_logprobs
from unlearnbench.registry import register


@register("graddiff")
@dataclass(frozen=True, kw_only=True)
class GradDiff(Objective):
    """mean max(ln p, −bound · ln V) over the answer tokens, V being the size of the vocabulary."""

    bound: Annotated[float, Field(gt=0)] = 2.0
    """How unlikely a token may become before it is left alone, in units of what a uniform guess gives it."""

    def terms(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Sequence[Term]:
        """One term; what is kept, the method brings."""
        least = -self.bound * math.log(model.vocabulary)

        def loss(facts: Sequence[Fact]) -> torch.Tensor:
            return answer_logprobs(model, truths(facts)).clamp_min(least).mean()

        return [forget_term(loss)]
