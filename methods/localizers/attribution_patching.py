"""Attribution patching: rank components by an estimate of their causal effect, from gradients, for all at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from unlearnbench.editing.place import EditingPlace
from unlearnbench.lazy import torch
from unlearnbench.locating.contrast import Pairs
from unlearnbench.locating.patching import attribution_effects
from unlearnbench.locating.ranking import Grained
from unlearnbench.model.model import Model
from unlearnbench.registry import register


@register("attribution_patching")
@dataclass(frozen=True, kw_only=True)
class AttributionPatching(Grained):
    """The components that matter most for the answers, by gradients along the way to the corrupted prompt."""

    points: Annotated[int, Field(ge=1)] = 5
    """At how many points between the clean and the corrupted embeddings gradients are taken; 1 is the classical
    estimate, at the clean prompt."""

    def effects(self, model: Model, pairs: Pairs, place: EditingPlace) -> dict[str, torch.Tensor]:
        """See `attribution_effects`."""
        return attribution_effects(model, pairs, self.points, self.sites(model))
