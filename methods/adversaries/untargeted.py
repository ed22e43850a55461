"""Untargeted latent adversarial training: whatever the defender minimizes is made as large as it can be.

Casper et al. (2024, arXiv 2403.05030). Where the defender's loss has no gradient, as `log1mp` below its floor, this
adversary finds nothing to do.
"""

from __future__ import annotations

from dataclasses import dataclass

from unlearnbench.editing.adversary import Defence
from unlearnbench.editing.latent import Latent, Perturbations
from unlearnbench.lazy import torch
from unlearnbench.model.model import Model
from unlearnbench.registry import register


@register("untargeted")
@dataclass(frozen=True, kw_only=True)
class Untargeted(Latent):
    """Perturbs activations so that the objective's loss on the facts to forget is as large as possible."""

    def loss(self, model: Model, defence: Defence, perturbations: Perturbations) -> torch.Tensor:
        """Minus the defender's."""
        with perturbations["forget"].added():
            return -defence.losses["forget"]()
