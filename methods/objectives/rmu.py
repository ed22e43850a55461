"""Representation misdirection: what one block makes of the facts to forget is steered to a random direction.

RMU of Li et al. (2024, arXiv 2403.03218), section 4. The scale is relative to the model's own norms at that block, as
in Dang et al. (2024, arXiv 2408.06223): an absolute one means something else in every model. Both losses are divided by
the square of that norm, which leaves their ratio, `alpha`, as published.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from unlearnbench.editing.keeping import states, states_terms
from unlearnbench.editing.objective import Need, Objective, Term, forget_term, whole_texts
from unlearnbench.editing.place import EditingPlace, reference_of
from unlearnbench.facts import Fact, TrainingSplit
from unlearnbench.lazy import torch
from unlearnbench.model.model import Model
from unlearnbench.model.residuals import depths, residuals
from unlearnbench.registry import register
from unlearnbench.seeds import derive_seed


@register("rmu")
@dataclass(frozen=True, kw_only=True)
class Rmu(Objective):
    """mean ‖h/m − scale · u‖² over tokens of facts to forget + `alpha` · mean ‖h − h₀‖²/m² over tokens to keep.

    h is the residual stream after block `layer`, h₀ that of the base, m the median of ‖h₀‖ on the facts to forget, and
    u one random direction for the whole run. The BOS is left out, whose norm is a hundred times that of others.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({"reference"})

    layer: str | None = None
    """The block, by number (from 0) or by depth, such as `22%`, which is block 7 of 32; none given takes the deepest
    that is trained, or 22 % where all are."""
    scale: Annotated[float, Field(gt=0)] = 2.0
    """How long the target is, in units of m."""
    alpha: Annotated[float, Field(ge=0)] = 10.0
    """Weight of staying as it was on facts to keep, and on plain text (published: 1200, at a hundredth of the rate)."""

    def terms(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Sequence[Term]:
        """Three terms. Raises `UsageError` for a block that the model lacks."""
        (block, *_), reference = depths(model, self.layer, "22%", place.trained), reference_of(place)
        generator = torch.Generator().manual_seed(derive_seed(place.seed, "direction"))

        with torch.no_grad():
            norm = residuals(model, whole_texts(model, split.forget), [block])[block].norm(dim=-1).median()
        target = torch.rand(model.width, generator=generator).to(norm.device)
        target = self.scale * target / target.norm()

        def steered(facts: Sequence[Fact]) -> torch.Tensor:
            away: torch.Tensor = residuals(model, whole_texts(model, facts), [block])[block] / norm - target
            return away.square().sum(-1).mean()

        def kept(texts: Sequence[list[int]]) -> torch.Tensor:
            ((before, now),) = states(model, reference, texts, [block])
            away: torch.Tensor = (now - before) / norm
            return away.square().sum(-1).mean()

        return [forget_term(steered), *states_terms(model, kept, self.alpha)]
