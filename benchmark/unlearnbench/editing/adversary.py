"""*Against whom*: an adversary perturbs the model while the forget loss is computed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from unlearnbench.facts import Fact
from unlearnbench.registry import Catalogue, Entry, adversaries

if TYPE_CHECKING:
    import torch

    from unlearnbench.model.model import Model


@dataclass(frozen=True, kw_only=True)
class Adversary(Entry):
    """Makes forgetting hard while it is trained. Its fields are settings: shown, recorded and hashed."""

    catalogue: ClassVar[Catalogue] = adversaries

    @abstractmethod
    def attack(
        self, model: Model, facts: Sequence[Fact], loss: Callable[[], torch.Tensor], seed: int
    ) -> AbstractContextManager[None]:
        """Within the context the model is perturbed on these facts; afterwards it is not.

        `loss` is the defender's, to be called as often as the attack needs; `seed` is another one at each step.
        """
