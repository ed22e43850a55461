"""Nobody: plain training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from unlearnbench.editing.adversary import Adversary
from unlearnbench.facts import Fact
from unlearnbench.lazy import torch
from unlearnbench.model.model import Model
from unlearnbench.registry import register


@register("none")
@dataclass(frozen=True, kw_only=True)
class Nobody(Adversary):
    """No perturbation."""

    def attack(
        self, model: Model, facts: Sequence[Fact], loss: Callable[[], torch.Tensor], seed: int
    ) -> AbstractContextManager[None]:
        return nullcontext()
