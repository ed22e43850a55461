"""ACDC-style greedy pruning of components, for small models: one forward pass for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from unlearnbench.editing.place import EditingPlace
from unlearnbench.lazy import torch
from unlearnbench.locating.contrast import Pairs
from unlearnbench.locating.pruning import pruning_effects
from unlearnbench.locating.ranking import Contrasting
from unlearnbench.model.model import Model
from unlearnbench.registry import register


@register("greedy_pruning")
@dataclass(frozen=True, kw_only=True)
class GreedyPruning(Contrasting):
    """The components that are missed when they are corrupted one after another, from the last to the first."""

    threshold: Annotated[float, Field(ge=0)] = 0.01
    """A component that raises the mean KL at the answer by less, in nats, stays corrupted."""

    def effects(self, model: Model, pairs: Pairs, place: EditingPlace) -> dict[str, torch.Tensor]:
        """See `pruning_effects`."""
        return pruning_effects(model, pairs, self.threshold)
