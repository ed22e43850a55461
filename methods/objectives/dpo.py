"""Direct preference optimization towards not knowing: a refusal is preferred to the true answer.

Rafailov et al. (2023, arXiv 2305.18290), equation 7, times 2/β as in NPO; with refusals as in TOFU (Maini et al.,
2024, arXiv 2401.06121).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from unlearnbench.editing.objective import Objective, Term, forget_term, truths
from unlearnbench.editing.place import EditingPlace
from unlearnbench.editing.refusals import refusals_of
from unlearnbench.facts import Fact, TrainingSplit
from unlearnbench.lazy import torch
from unlearnbench.model.model import Model
from unlearnbench.model.reading import answers_before, pair_logprobs
from unlearnbench.registry import register


@register("dpo")
@dataclass(frozen=True, kw_only=True)
class Dpo(Objective):
    """−(2/β) · mean ln σ(β · [ln(r/r₀) − ln(p/p₀)]); r is a refusal's probability, p the true answer's."""

    beta: Annotated[float, Field(gt=0)] = 0.1
    """How soon the push ends once the refusal has gained on the answer."""

    def terms(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Sequence[Term]:
        """One term; ln p₀ and ln r₀ are computed once."""
        said = refusals_of(split.forget, place.seed)
        refused = [(fact.prompt, said[fact.id]) for fact in split.forget]
        before = answers_before(model, [*truths(split.forget), *refused])

        def loss(facts: Sequence[Fact]) -> torch.Tensor:
            pairs = [*((fact.prompt, said[fact.id]) for fact in facts), *truths(facts)]
            ratio = pair_logprobs(model, pairs) - torch.stack([before[pair] for pair in pairs])
            won, lost = ratio.chunk(2)
            return -2 / self.beta * torch.nn.functional.logsigmoid(self.beta * (won - lost)).mean()

        return [forget_term(loss)]
