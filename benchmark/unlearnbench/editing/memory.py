"""The projection with which an MLP writes, as a linear memory: what it reads is a key, what it says a value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from unlearnbench.errors import UsageError
from unlearnbench.lazy import torch
from unlearnbench.model.reading import Position, logits_at

if TYPE_CHECKING:
    from unlearnbench.model.model import Model


class Memory:
    """W [values, keys] of one MLP. Changes add up in float64, and are rounded into the weight each time anew."""

    def __init__(self, model: Model, component: str) -> None:
        """Raises `UsageError` where the MLP has no such projection."""
        self._model = model
        self.block = int(component.rpartition(".")[2])
        self.path = projection_of(model, component)
        self._module = model.network.get_submodule(self.path)
        self.weight = f"{self.path}.weight"
        parameter = model.parameters[self.weight]
        # GPT-2's Conv1D keeps its weight the other way round.
        self._transposed = not isinstance(self._module, torch.nn.Linear)
        self._value = parameter.detach().to(torch.float64, copy=True)

    @property
    def device(self) -> torch.device:
        """Where the weight is."""
        return self._model.parameters[self.weight].device

    def add(self, change: torch.Tensor) -> None:
        """W becomes W + change [values, keys]."""
        self._value += change.T if self._transposed else change
        self._model.write({self.weight: self._value})

    def keys(self, positions: Sequence[Position], batch_size: int = 64) -> torch.Tensor:
        """What it reads [positions, keys] at one position of each sequence; float64, no gradients."""
        found = list[torch.Tensor]()
        for start in range(0, len(positions), batch_size):
            batch = positions[start : start + batch_size]
            with self._reading() as seen, torch.no_grad():
                logits_at(self._model, [ids for ids, _ in batch], [0], [0])
            found.append(seen[0][range(len(batch)), [column for _, column in batch]].double())
        return torch.cat(found)

    def second_moment(self, texts: Sequence[list[int]], batch_size: int = 64) -> torch.Tensor:
        """E[k kᵀ] [keys, keys] over all tokens of these texts but the first, which may dwarf all others; float64."""
        total, count = torch.zeros(()), 0
        for start in range(0, len(texts), batch_size):
            batch = texts[start : start + batch_size]
            with self._reading() as seen, torch.no_grad():
                logits_at(self._model, list(batch), [0], [0])
            at = [(row, c) for row, ids in enumerate(batch) for c in range(min(1, len(ids) - 1), len(ids))]
            keys = seen[0][[row for row, _ in at], [c for _, c in at]].double()
            total = total.to(keys) + keys.T @ keys
            count += len(at)
        return total / count

    @contextmanager
    def _reading(self) -> Iterator[list[torch.Tensor]]:
        seen = list[torch.Tensor]()

        def note(_module: Any, inputs: tuple[torch.Tensor, ...]) -> None:
            seen.append(inputs[0].detach())

        handle = self._module.register_forward_pre_hook(note)
        try:
            yield seen
        finally:
            handle.remove()


def projection_of(model: Model, component: str) -> str:
    """The path of an MLP's projection. Raises `UsageError` as `Memory` does."""
    path = model.components[component].path
    if component not in model.projections:
        inside = (name for name, _ in model.network.get_submodule(path).named_modules())
        raise UsageError(
            f"{component} of {type(model.network).__name__} ({', '.join(filter(None, inside))}) ends with no matrix",
            "ROME and MEMIT change the one projection with which an MLP writes; other methods do not",
        )
    return model.projections[component]


def spread(values: torch.Tensor, keys: torch.Tensor, cost: torch.Tensor) -> torch.Tensor:
    """The change Δ [values, keys] that minimizes Σ‖Δkᵢ − vᵢ‖² + tr(Δ·cost·Δᵀ): VᵀK(cost + KᵀK)⁻¹."""
    change: torch.Tensor = torch.linalg.solve(cost + keys.T @ keys, keys.T @ values)
    return change.T
