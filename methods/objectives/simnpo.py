"""Simple NPO: no reference model, and an answer's length does not count.

Fan et al. (2024, arXiv 2410.07163), equation 4.
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
from unlearnbench.model.reading import encode, pair_logprobs
from unlearnbench.registry import register


@register("simnpo")
@dataclass(frozen=True, kw_only=True)
class SimNpo(Objective):
    """−(2/β) · mean ln σ(−β · ln p / |y| − γ) over facts, |y| being the number of the answer's tokens."""

    beta: Annotated[float, Field(gt=0)] = 4.5
    """How soon the push ends as the answer becomes unlikely."""
    gamma: Annotated[float, Field(ge=0)] = 0.0
    """How much further it is pushed (nats, times β)."""

    def terms(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Sequence[Term]:
        """One term."""

        def loss(facts: Sequence[Fact]) -> torch.Tensor:
            pairs = truths(facts)
            found = pair_logprobs(model, pairs)
            mean = found / torch.tensor([len(encode(model, *pair)[1]) for pair in pairs], device=found.device)
            return -2 / self.beta * torch.nn.functional.logsigmoid(-self.beta * mean - self.gamma).mean()

        return [forget_term(loss)]
