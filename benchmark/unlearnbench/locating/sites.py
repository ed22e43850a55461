"""What is patched: the outputs of components, of single matrices, or of attention heads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from unlearnbench.lazy import torch
from unlearnbench.model.heads import groups_of, head_mixers, heads_changed
from unlearnbench.model.hooks import constantly, intervened, recorded
from unlearnbench.model.reading import last_logits

if TYPE_CHECKING:
    from unlearnbench.model.model import Model


class Sites(ABC):
    """Places in a model whose outputs can be read and swapped, by name."""

    @abstractmethod
    def recorded(self, model: Model) -> AbstractContextManager[dict[str, torch.Tensor]]:
        """Within: what each puts out at the latest forward pass [batch, positions, …]; gradients go through it."""

    @abstractmethod
    def swapped(self, model: Model, name: str, output: torch.Tensor) -> AbstractContextManager[None]:
        """Within: this one puts this out."""

    def outputs(self, model: Model, prompts: Sequence[list[int]]) -> dict[str, torch.Tensor]:
        """What each puts out on these prompts; no gradients."""
        with torch.no_grad(), self.recorded(model) as seen:
            last_logits(model, prompts)
        return seen


@dataclass(frozen=True)
class Modules(Sites):
    """The outputs of whole modules."""

    paths: Mapping[str, str]
    """By name."""

    @classmethod
    def components(cls, model: Model) -> Modules:
        """Every attention and every MLP."""
        return cls({name: component.path for name, component in model.components.items()})

    def recorded(self, model: Model) -> AbstractContextManager[dict[str, torch.Tensor]]:
        # Before anybody holds a part of it still, as RelP does queries and keys, which then have no slope.
        return recorded(model, self.paths, first=True)

    def swapped(self, model: Model, name: str, output: torch.Tensor) -> AbstractContextManager[None]:
        return intervened(model, {self.paths[name]: constantly(output)})


@dataclass(frozen=True)
class Heads(Sites):
    """The outputs of attention heads, before they are mixed: `attention.3.1`.

    Heads that share keys and values (grouped-query attention) are one: what one of them reads, the others read.
    """

    mixers: Sequence[str]
    """See `unlearnbench.model.heads.head_mixers`."""
    groups: int
    """In each block."""

    @classmethod
    def of(cls, model: Model) -> Heads:
        """Every head of the model. Raises `UsageError` where they cannot be told apart."""
        return cls(head_mixers(model), groups_of(model))

    @contextmanager
    def recorded(self, model: Model) -> Iterator[dict[str, torch.Tensor]]:
        seen: dict[str, torch.Tensor] = {}

        def note(block: int, heads: torch.Tensor) -> torch.Tensor:
            parts = heads.chunk(self.groups, dim=-2)
            seen.update({f"attention.{block}.{group}": part for group, part in enumerate(parts)})
            return torch.cat(parts, -2)  # made of the parts, so that gradients come to each

        with heads_changed(model, self.mixers, {block: partial(note, block) for block in range(model.blocks)}):
            yield seen

    def swapped(self, model: Model, name: str, output: torch.Tensor) -> AbstractContextManager[None]:
        block, group = (int(part) for part in name.split(".")[1:])
        change: Callable[[torch.Tensor], torch.Tensor] = lambda heads: torch.cat(  # noqa: E731
            [output if at == group else part for at, part in enumerate(heads.chunk(self.groups, dim=-2))], -2
        )
        return heads_changed(model, self.mixers, {block: change})
