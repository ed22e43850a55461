"""Circuit breaking by representation rerouting: states on the facts to forget are turned away from what they were.

Zou et al. (2024, arXiv 2406.04313), section 3, with constant weights instead of their schedule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from unlearnbench.editing.keeping import moved, states, states_terms
from unlearnbench.editing.objective import Need, Objective, Term, forget_term, whole_texts
from unlearnbench.editing.place import EditingPlace, reference_of
from unlearnbench.facts import Fact, TrainingSplit
from unlearnbench.lazy import torch
from unlearnbench.model.model import Model
from unlearnbench.model.residuals import depths
from unlearnbench.registry import register
from unlearnbench.seeds import derive_seed

KICK = 0.01


@register("circuit_breaker")
@dataclass(frozen=True, kw_only=True)
class CircuitBreaker(Objective):
    """mean ReLU(cos(h, h₀ + .01 ‖h₀‖ u)) over tokens to forget + `keep` · Σ‖h − h₀‖²/Σ‖h₀‖² over tokens to keep.

    h is the residual stream after each of `layers`, h₀ that of the base, u a random direction: at h = h₀ itself the
    cosine is stationary, and rounding would decide which way training goes, if at all.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({"reference"})

    layers: str | None = None
    """Blocks, by number (from 0) or by depth, such as `33%+66%`; none given takes the deepest that is trained, or these
    two where all are."""
    keep: Annotated[float, Field(ge=0)] = 1.0
    """Weight of staying as it was on facts to keep, and on plain text."""

    def terms(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Sequence[Term]:
        """Three terms. Raises `UsageError` for a block that the model lacks."""
        blocks, reference = depths(model, self.layers, "33%+66%", place.trained), reference_of(place)

        generator = torch.Generator().manual_seed(derive_seed(place.seed, "direction"))
        kick = torch.nn.functional.normalize(torch.randn(model.width, generator=generator), dim=0)

        def rerouted(facts: Sequence[Fact]) -> torch.Tensor:
            cosine = torch.nn.functional.cosine_similarity
            pairs = states(model, reference, whole_texts(model, facts), blocks)
            aside = [before + KICK * before.norm(dim=-1, keepdim=True) * kick.to(before) for before, _ in pairs]
            found = [cosine(now, there, dim=-1).relu().mean() for (_, now), there in zip(pairs, aside, strict=True)]
            return torch.stack(found).mean()

        def kept(texts: Sequence[list[int]]) -> torch.Tensor:
            return moved(model, reference, texts, blocks)

        return [forget_term(rerouted), *states_terms(model, kept, self.keep)]
