"""Latent adversarial training: gradient descent in the activations, inside a ball (Sheshadri et al., 2024)."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from unlearnbench.editing.adversary import Adversary, Defence, Strike
from unlearnbench.editing.objective import About
from unlearnbench.editing.perturbation import Perturbation, Tokens, sites_of
from unlearnbench.errors import Diverged, UsageError
from unlearnbench.lazy import torch
from unlearnbench.model.below import kept_below

if TYPE_CHECKING:
    from unlearnbench.model.model import Model

Perturbations = Mapping[About, Perturbation]
MOST = 10_000


@dataclass(frozen=True, kw_only=True)
class Latent(Adversary):
    """Adds δ to the activations at some sites, a vector for each token of the prompts.

    δ begins at zero; after each of `inner_steps` steps of Adam on the adversary's loss, every token's vector is brought
    back into its ball. Of all that were tried, zero among them, the δ of the lowest loss is taken.
    The model trains on under it for `hold` steps. The inner steps begin at the lowest site: what is below does not
    change, and is computed once.
    """

    sites: str = "16%"
    """Where δ is added: the outputs of blocks, by number (from 0) or by depth, or `embeddings`; several with +."""
    epsilon: Annotated[float, Field(gt=0)] = 0.1
    """Radius of each token's ball, in units of the median norm of what δ is added to."""
    tokens: Tokens = "prompt"
    """Which tokens of the prompt are perturbed: all of them but the first, the subject's, or the last."""
    inner_steps: Annotated[int, Field(ge=1, le=MOST)] = 16
    """Steps of the adversary."""
    inner_rate: Annotated[float, Field(gt=0)] = 0.25
    """Length of the adversary's first step, in radii of the ball."""
    hold: Annotated[int, Field(ge=1, le=MOST)] = 4
    """Steps of training, on one batch, for which a δ is kept."""

    @property
    def held(self) -> int:
        return self.hold

    def first_block(self, model: Model) -> int:
        return min(sites_of(model, self.sites).values())

    @abstractmethod
    def loss(self, model: Model, defence: Defence, perturbations: Perturbations) -> torch.Tensor:
        """What the adversary minimizes; it computes each part within `perturbations[about].added()`."""

    def strike(self, model: Model, defence: Defence) -> Strike:
        """Raises `Diverged` where the adversary's loss is no number without any perturbation."""
        facts = {"forget": defence.batch.forget, "maintain": defence.batch.maintain}
        sites = sites_of(model, self.sites)
        with model.trainable(()), kept_below(model, min(sites.values())):
            perturbations: dict[About, Perturbation] = {
                about: Perturbation(model, facts[about], sites, self.tokens, self.epsilon)
                for about in sorted(self.attacked)
            }
            return _Found(perturbations, *self._descend(model, defence, perturbations))

    def _descend(self, model: Model, defence: Defence, perturbations: Perturbations) -> tuple[float, float]:
        """Bring the perturbations where the loss is least; returns it at zero and there."""
        pairs = [(one, path) for one in perturbations.values() for path in one.deltas]
        deltas = [one.deltas[path] for one, path in pairs]
        # A step of Adam is about as long in every coordinate: by this rate a token moves a share of its radius.
        groups = [
            {"params": [one.deltas[path]], "lr": self.inner_rate * one.radius[path] / math.sqrt(delta.shape[-1])}
            for (one, path), delta in zip(pairs, deltas, strict=True)
        ]
        adam = torch.optim.Adam(groups)
        best, start, least = [torch.zeros_like(delta) for delta in deltas], math.nan, math.inf
        for step in range(self.inner_steps + 1):
            with torch.set_grad_enabled(step < self.inner_steps):
                loss = self.loss(model, defence, perturbations)
            if step == 0 and not loss.requires_grad:
                raise UsageError(
                    f"sites={self.sites}: no loss that the adversary attacks depends on what it would perturb",
                    "choose earlier sites, or embeddings",
                )
            value = loss.item()
            start = value if step == 0 else start
            if value < least:
                best, least = [delta.detach().clone() for delta in deltas], value
            if step == self.inner_steps or not math.isfinite(value):
                break
            for delta, gradient in zip(deltas, torch.autograd.grad(loss, deltas, allow_unused=True), strict=True):
                delta.grad = torch.zeros_like(delta) if gradient is None else gradient
            adam.step()
            for one in perturbations.values():
                one.project()
        if not math.isfinite(least):
            raise Diverged(f"the adversary's loss is {start}", [])
        for delta, kept in zip(deltas, best, strict=True):
            delta.grad = None
            delta.requires_grad_(False).copy_(kept)
        return start, least


class _Found(Strike):
    """The perturbations of one strike."""

    def __init__(self, perturbations: Perturbations, start: float, end: float) -> None:
        self._perturbations = perturbations
        self.told = {"attack_from": start, "attack_to": end}

    def on(self, about: About) -> AbstractContextManager[None]:
        return self._perturbations[about].added()
