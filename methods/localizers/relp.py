"""RelP: attribution patching with the coefficients of relevance propagation."""

from __future__ import annotations

from dataclasses import dataclass

from unlearnbench.editing.place import EditingPlace
from unlearnbench.lazy import torch
from unlearnbench.locating.contrast import Pairs
from unlearnbench.locating.patching import attribution_effects
from unlearnbench.locating.ranking import Grained
from unlearnbench.locating.relevance import linearized
from unlearnbench.model.model import Model
from unlearnbench.registry import register


@register("relp")
@dataclass(frozen=True, kw_only=True)
class Relp(Grained):
    """The components that matter most when what bends in the model is held still (Jafari et al. 2025)."""

    def effects(self, model: Model, pairs: Pairs, place: EditingPlace) -> dict[str, torch.Tensor]:
        """Two forward passes and one backward pass. Raises `UsageError` for an unknown attention."""
        sites = self.sites(model)  # found before hooks are in the way
        with linearized(model):
            return attribution_effects(model, pairs, sites=sites)
