"""Sharpness-aware minimization: the weights themselves are perturbed, to where forgetting is worst nearby.

Foret et al. (2021, arXiv 2010.01412), equation 2, as used for unlearning by Fan et al. (2025, arXiv 2502.05374): what
is forgotten in a flat place is not relearned by a small step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from unlearnbench.editing.adversary import Adversary, Defence, Strike
from unlearnbench.editing.objective import About
from unlearnbench.errors import UsageError
from unlearnbench.lazy import torch
from unlearnbench.model.model import Model
from unlearnbench.registry import register


@register("sharpness")
@dataclass(frozen=True, kw_only=True)
class Sharpness(Adversary):
    """Moves the trained weights by ρ · g/‖g‖, g being the gradient of the loss on the facts to forget."""

    rho: Annotated[float, Field(gt=0)] = 0.1
    """How far. Weights in half precision round what is added to them: there a small ρ is lost."""

    def strike(self, model: Model, defence: Defence) -> Strike:
        """One gradient. Weights that the loss does not depend on stay where they are; `UsageError` if all do."""
        trained = {name: p for name, p in model.parameters.items() if p.requires_grad}
        loss = defence.losses["forget"]()
        if not loss.requires_grad:
            raise UsageError(
                "sharpness: nothing that is trained changes the loss on the facts to forget",
                "give it some weight (forget_weight), and train what the objective looks at",
            )
        found = torch.autograd.grad(loss, list(trained.values()), allow_unused=True)
        gradients = {name: g.float() for name, g in zip(trained, found, strict=True) if g is not None}
        length = sum(g.square().sum().item() for g in gradients.values()) ** 0.5
        scale = self.rho / length if length > 0 else 0.0
        return _Moved(model, {name: scale * g for name, g in gradients.items()})


class _Moved(Strike):
    """Weights that are elsewhere for a while."""

    told: Mapping[str, float] = {}

    def __init__(self, model: Model, by: Mapping[str, torch.Tensor]) -> None:
        self._model, self._by = model, by

    def on(self, about: About) -> AbstractContextManager[None]:
        return self._elsewhere()

    @contextmanager
    def _elsewhere(self) -> Iterator[None]:
        # By copies and not by subtraction, which would round. Gradients that come meanwhile stay.
        with self._model.restored(self._by) as copies:
            self._model.write({name: old + self._by[name] for name, old in copies.items()})
            yield
