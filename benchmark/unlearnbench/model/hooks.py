"""Watching and replacing what modules say, and leaving no hook behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from unlearnbench.lazy import torch

if TYPE_CHECKING:
    from unlearnbench.model.model import Model

Key = TypeVar("Key")


@contextmanager
def intervened(
    model: Model, interventions: Mapping[str, Callable[[torch.Tensor], torch.Tensor]], *, first: bool = False
) -> Iterator[None]:
    """Within: the output of each module (by path) is replaced by a function of itself; `first`: before other hooks."""
    with ExitStack() as stack:
        for path, change in interventions.items():
            handle = model.network.get_submodule(path).register_forward_hook(_replacing(change), prepend=first)
            stack.callback(handle.remove)
        yield


def constantly(output: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """A change of any output into this one. A copy: Falcon adds to what a sublayer put out, in place."""
    return lambda _: output.clone()


def noting(seen: dict[Key, torch.Tensor], key: Key) -> Callable[[torch.Tensor], torch.Tensor]:
    """A change of nothing, that keeps what passes. A copy goes on, as in `constantly`."""

    def note(output: torch.Tensor) -> torch.Tensor:
        seen[key] = output
        return output.clone()

    return note


@contextmanager
def recorded(model: Model, paths: Mapping[str, str], *, first: bool = False) -> Iterator[dict[str, torch.Tensor]]:
    """Within: what the modules at these paths put out at the latest forward pass, by the names of the paths.

    `first`: as it is before other hooks change it.
    """
    seen: dict[str, torch.Tensor] = {}
    with intervened(model, {path: noting(seen, name) for name, path in paths.items()}, first=first):
        yield seen


@contextmanager
def tap(model: Model) -> Iterator[dict[str, torch.Tensor]]:
    """Within: the outputs [batch, positions, width] of all components at the latest forward pass.

    Where gradients are enabled they can be differentiated with respect to, though no weight is.
    """
    paths = {name: component.path for name, component in model.components.items()}
    with differentiable(model), recorded(model, paths) as seen:
        yield seen


@contextmanager
def differentiable(model: Model) -> Iterator[None]:
    """Within: gradients begin at the embeddings, where they are enabled, and no weight has one."""

    def start(output: torch.Tensor) -> torch.Tensor:
        return output.detach().requires_grad_() if torch.is_grad_enabled() else output

    embeddings = model.network.get_input_embeddings()
    first = {name: start for name, module in model.network.named_modules() if module is embeddings}
    with model.trainable(()), intervened(model, first):
        yield


@contextmanager
def forwarding(module: torch.nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """Within: this is what the module computes; afterwards what it did, which usually is what its class says."""
    before = module.__dict__.get("forward")
    module.forward = forward
    try:
        yield
    finally:
        if before is None:
            del module.forward
        else:
            module.forward = before


def _replacing(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[..., Any]:
    def hook(_module: torch.nn.Module, _inputs: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            return (change(output[0]), *output[1:])
        return change(output)

    return hook
