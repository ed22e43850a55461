"""Targeted latent adversarial training: the perturbation asks for the forgotten answers, and for wrong ones elsewhere.

Sheshadri et al. (2024, arXiv 2407.15549): the adversary minimizes the loss of the competing task, towards the true
answers of the facts to forget and away from those of the facts to keep. The defender forgets, and keeps, under it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from unlearnbench.editing.adversary import Defence
from unlearnbench.editing.latent import Latent, Perturbations
from unlearnbench.editing.losses import unlikely_loss
from unlearnbench.editing.objective import About, truths
from unlearnbench.lazy import torch
from unlearnbench.model.model import Model
from unlearnbench.model.reading import answer_loss
from unlearnbench.registry import register


@register("targeted")
@dataclass(frozen=True, kw_only=True)
class Targeted(Latent):
    """Perturbs activations towards the true answers of facts to forget, and away from those of facts to keep."""

    away: Annotated[float, Field(ge=0)] = 1.0
    """Weight of leaving the right answers of facts to keep, −ln(1 − p); at 0 they are not perturbed at all."""

    @property
    def attacked(self) -> frozenset[About]:
        return frozenset({"forget", "maintain"} if self.away else {"forget"})

    def loss(self, model: Model, defence: Defence, perturbations: Perturbations) -> torch.Tensor:
        """Cross-entropy of the true answers, and `away` times what makes those of other facts unlikely."""
        with perturbations["forget"].added():
            loss = answer_loss(model, truths(defence.batch.forget))
        if self.away:
            with perturbations["maintain"].added():
                loss = loss + self.away * unlikely_loss(model, truths(defence.batch.maintain))
        return loss
