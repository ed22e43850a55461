"""Fact look-up localization, for any model and without a hand: the MLPs that put the fact at the subject."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from unlearnbench.editing.localization import Localization
from unlearnbench.editing.localizer import Localizer, Share
from unlearnbench.editing.place import EditingPlace
from unlearnbench.errors import UsageError
from unlearnbench.facts import TrainingSplit
from unlearnbench.locating.contrast import pairs_of
from unlearnbench.locating.lookup import look_up
from unlearnbench.model.model import Model
from unlearnbench.registry import register


@register("fact_lookup")
@dataclass(frozen=True, kw_only=True)
class FactLookup(Localizer):
    """The MLPs whose output at the subject reaches the answer through the heads that fetch it (Guo et al. 2024)."""

    budget: Share = 0.2
    """Share of the weights in the blocks that may be trained."""
    examples: Annotated[int, Field(ge=1)] = 64
    """Facts to forget that the effects are averaged over, at the most."""
    points: Annotated[int, Field(ge=1)] = 5
    """At how many points between the clean and the corrupted embeddings gradients are taken."""
    heads: Annotated[float, Field(gt=0, le=1)] = 0.8
    """Extraction heads are the fewest that have this share of all positive effects at the answer."""
    least: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of the answer's lead, over what it is on the corrupted prompts, that must be lost when these MLPs say at
    the subject what they say of somebody else; where it is less, the model looks the facts up elsewhere."""

    def localize(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Localization:
        """Positive effects only: an MLP that speaks against the answer looks nothing up.

        Raises `UsageError` where the model has no such mechanism.
        """
        found = look_up(model, pairs_of(model, split, self.examples, place.seed), self.points, self.heads)
        scores = {name: effect.mean().item() for name, effect in found.mlps.items()}
        if not found.told_apart and self.least > 0:
            raise UsageError(
                "no facts are looked up: the answers are no likelier in their own prompts than in those about others",
                "what is not known has no place; fact_lookup[least=0] ranks all the same",
            )
        if found.decided < self.least:
            raise UsageError(
                f"no facts are looked up by MLPs at the subject: told of somebody else there, they take"
                f" {found.decided:.2f} of the answer's lead, and {self.least:g} is asked",
                "attribution_patching finds what else the answer owes; fact_lookup[least=0] ranks all the same",
            )
        positive = {name: score for name, score in scores.items() if score > 0}
        return Localization.top(model, positive or scores, self.budget, scores)
