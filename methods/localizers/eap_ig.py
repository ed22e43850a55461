"""EAP-IG: a component matters as much as the edges that leave it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from unlearnbench.editing.place import EditingPlace
from unlearnbench.lazy import torch
from unlearnbench.locating.contrast import Pairs
from unlearnbench.locating.edges import edge_effects
from unlearnbench.locating.ranking import Contrasting
from unlearnbench.model.model import Model
from unlearnbench.registry import register


@register("eap_ig")
@dataclass(frozen=True, kw_only=True)
class EapIg(Contrasting):
    """The components with the largest edges to those that read them (Hanna et al. 2024)."""

    points: Annotated[int, Field(ge=1)] = 5
    """At how many points between the clean and the corrupted embeddings gradients are taken."""

    def effects(self, model: Model, pairs: Pairs, place: EditingPlace) -> dict[str, torch.Tensor]:
        """The sum over a component's edges of their size, fact by fact; signed ones with `sign=positive`."""
        edges = edge_effects(model, pairs, self.points)
        found = {name: torch.zeros(len(pairs.facts), device=model.device) for name in model.components}
        for (source, _), effect in edges.items():
            found[source] += effect.abs() if self.sign == "absolute" else effect
        return found
