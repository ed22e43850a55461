"""Causal tracing: noise the subject, restore one component, and see how much of the answer comes back.

Meng et al. (2022, ROME), with two departures that make a ranking of it: a component is restored at all positions
instead of one, and each noise draw is used for the baseline and for every component alike: effects are paired.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from unlearnbench.editing.place import EditingPlace
from unlearnbench.lazy import torch
from unlearnbench.locating.contrast import Pairs
from unlearnbench.locating.ranking import Contrasting
from unlearnbench.locating.tracing import tracing_effects
from unlearnbench.model.model import Model
from unlearnbench.registry import register


@register("causal_tracing")
@dataclass(frozen=True, kw_only=True)
class CausalTracing(Contrasting):
    """The components whose restoration brings the answer's probability back (Meng et al. 2022)."""

    noise: Annotated[float, Field(gt=0)] = 3.0
    """Standard deviation of the noise, in standard deviations of the subjects' embeddings."""
    draws: Annotated[int, Field(ge=1)] = 10
    """Noise draws that are averaged."""
    window: Annotated[int, Field(ge=1)] = 1
    """How many neighbouring components of the kind are restored together, the scored one in the middle (ROME: 10)."""

    def effects(self, model: Model, pairs: Pairs, place: EditingPlace) -> dict[str, torch.Tensor]:
        """The indirect effect on p(answer's first token) [facts]: restored minus noised, mean over draws."""
        return tracing_effects(model, pairs, noise=self.noise, draws=self.draws, window=self.window, seed=place.seed)
