"""What a task may use besides the model and the split."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unlearnbench.editing.place import silent
from unlearnbench.facts import Fact
from unlearnbench.lazy import torch

if TYPE_CHECKING:
    from unlearnbench.editing.retain import RetainText
    from unlearnbench.model.model import Model


@dataclass(frozen=True)
class AskingPlace:
    """Where a task works: on the edited model, with these beside it."""

    batch_size: int
    """Prompts in a forward pass; fixed for the run, since it decides the last bits."""
    seed: int
    """Derived for this run and this task; a task draws all its randomness from it."""
    retain: RetainText
    base: Mapping[str, torch.Tensor]
    """The weights of before the edit, by name; reading one gives a copy."""
    never_known: Sequence[Fact] = ()
    """Facts that nobody ever taught: the same attack on them shows what it teaches instead of bringing back."""
    progress: Callable[[int, int], None] = silent

    def edited(self, model: Model) -> list[str]:
        """The tensors in which the model is not the base."""
        return [name for name in self.base if not torch.equal(self.base[name], model.parameters[name])]


@dataclass(frozen=True)
class BaseWeights(Mapping[str, "torch.Tensor"]):
    """Tensors that can be read and not changed: each look-up gives a copy."""

    sources: Sequence[Mapping[str, torch.Tensor]]
    """Searched in order: copies made before an edit, then what no edit has touched."""

    def __getitem__(self, name: str) -> torch.Tensor:
        for source in self.sources:
            if name in source:
                return source[name].detach().clone()
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name for source in self.sources for name in source))

    def __len__(self) -> int:
        return len(dict.fromkeys(self))
