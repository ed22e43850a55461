"""Exact activation patching: one forward pass for every component. What the estimates are estimates of."""

from __future__ import annotations

from dataclasses import dataclass

from unlearnbench.editing.place import EditingPlace
from unlearnbench.lazy import torch
from unlearnbench.locating.contrast import Pairs
from unlearnbench.locating.patching import Direction, exact_effects
from unlearnbench.locating.ranking import Grained
from unlearnbench.model.model import Model
from unlearnbench.registry import register


@register("exact_patching")
@dataclass(frozen=True, kw_only=True)
class ExactPatching(Grained):
    """The components whose output, swapped, changes the answers most."""

    direction: Direction = "noising"
    """`noising`: the corrupted output in the clean prompt (what is necessary); `denoising`: the other way round."""

    def effects(self, model: Model, pairs: Pairs, place: EditingPlace) -> dict[str, torch.Tensor]:
        """See `exact_effects`."""
        return exact_effects(model, pairs, self.direction, self.sites(model))
