"""Negative preference optimization: answers are pushed down relative to the model before the edit.

Zhang et al. (2024, arXiv 2404.05868), equation 3. For β → 0 it is gradient ascent; its gradient is that of gradient
ascent times 2p^β / (p^β + p₀^β), and so fades as the answer becomes unlikelier than it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from unlearnbench.editing.objective import Objective, Term, forget_term, truths
from unlearnbench.editing.place import EditingPlace
from unlearnbench.facts import Fact, TrainingSplit
from unlearnbench.lazy import torch
from unlearnbench.model.model import Model
from unlearnbench.model.reading import answers_before, pair_logprobs
from unlearnbench.registry import register


@register("npo")
@dataclass(frozen=True, kw_only=True)
class Npo(Objective):
    """−(2/β) · mean ln σ(−β · ln(p/p₀)) over facts; p and p₀ are the whole answer's probability now and before."""

    beta: Annotated[float, Field(gt=0)] = 0.1
    """How soon the push ends once an answer has become unlikelier than it was."""

    def terms(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Sequence[Term]:
        """One term; ln p₀ is computed once, one number for each fact."""
        before = answers_before(model, truths(split.forget))

        def loss(facts: Sequence[Fact]) -> torch.Tensor:
            pairs = truths(facts)
            ratio = pair_logprobs(model, pairs) - torch.stack([before[pair] for pair in pairs])
            return -2 / self.beta * torch.nn.functional.logsigmoid(-self.beta * ratio).mean()

        return [forget_term(loss)]
