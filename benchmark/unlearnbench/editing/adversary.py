"""*Against whom*: an adversary perturbs the model while losses are computed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from unlearnbench.editing.objective import About, Batch
from unlearnbench.registry import Catalogue, Entry, adversaries

if TYPE_CHECKING:
    import torch

    from unlearnbench.model.model import Model


@dataclass(frozen=True)
class Defence:
    """What an adversary has before it: the facts of this step, and what their defender minimizes."""

    batch: Batch
    losses: Mapping[About, Callable[[], torch.Tensor]]
    """The weighted sum of the defender's losses about these facts; may be called as often as the attack needs."""
    seed: int
    """Another one for each batch."""


class Strike(ABC):
    """A perturbation that was found for the facts of a step."""

    told: Mapping[str, float]
    """What the history of the step says of it: of the latent ones `attack_from` and `attack_to`, the adversary's loss
    without and with the perturbation."""

    @abstractmethod
    def on(self, about: About) -> AbstractContextManager[None]:
        """Within: the model is perturbed for losses about these facts; afterwards it is what it was."""


@dataclass(frozen=True, kw_only=True)
class Adversary(Entry):
    """Makes forgetting hard while it is trained. Its fields are settings: shown, recorded and hashed."""

    catalogue: ClassVar[Catalogue] = adversaries

    @property
    def attacked(self) -> frozenset[About]:
        """The losses that are computed under its perturbation."""
        return frozenset({"forget"})

    @property
    def held(self) -> int:
        """For how many steps of training a perturbation, and its batch, stay the same."""
        return 1

    def first_block(self, model: Model) -> int:
        """The first block that reads something else under the perturbation; all below it are as ever.

        Raises `UsageError` where it wants to perturb what the model lacks.
        """
        return model.blocks

    @abstractmethod
    def strike(self, model: Model, defence: Defence) -> Strike:
        """Find a perturbation. Must leave the model as it was, its gradients aside, of which it has none then."""
