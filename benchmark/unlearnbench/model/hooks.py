"""Watching and replacing what modules say, and leaving no hook behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from unlearnbench.lazy import torch

if TYPE_CHECKING:
    from unlearnbench.model.model import Model


@contextmanager
def intervened(model: Model, interventions: Mapping[str, Callable[[torch.Tensor], torch.Tensor]]) -> Iterator[None]:
    """Within: the output of each module (by path) is replaced by a function of itself."""
    with ExitStack() as stack:
        for path, change in interventions.items():
            handle = model.network.get_submodule(path).register_forward_hook(_replacing(change))
            stack.callback(handle.remove)
        yield


def constantly(output: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """A change of any output into this one."""
    return lambda _: output


@contextmanager
def tap(model: Model) -> Iterator[dict[str, torch.Tensor]]:
    """Within: the outputs [batch, positions, width] of all components at the latest forward pass.

    Where gradients are enabled they can be differentiated with respect to, though no weight is.
    """
    seen: dict[str, torch.Tensor] = {}

    def keep(name: str) -> Callable[[torch.Tensor], torch.Tensor]:
        def record(output: torch.Tensor) -> torch.Tensor:
            seen[name] = output
            return output

        return record

    def start(output: torch.Tensor) -> torch.Tensor:
        return output.detach().requires_grad_() if torch.is_grad_enabled() else output

    embeddings = model.network.get_input_embeddings()
    paths: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {c.path: keep(n) for n, c in model.components.items()}
    paths |= {name: start for name, module in model.network.named_modules() if module is embeddings}
    with model.trainable(()), intervened(model, paths):
        yield seen


def _replacing(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[..., Any]:
    def hook(_module: torch.nn.Module, _inputs: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            return (change(output[0]), *output[1:])
        return change(output)

    return hook
