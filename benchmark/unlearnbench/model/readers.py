"""What reads the residual stream for each component, and what writes to it: norms, where they stand in between."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unlearnbench.lazy import torch
from unlearnbench.model.check import try_out
from unlearnbench.model.hooks import intervened

if TYPE_CHECKING:
    from unlearnbench.model.model import Model


@dataclass(frozen=True)
class Stream:
    """Module paths by component."""

    readers: dict[str, str]
    """What the stream goes into: the norm before each component, or the component itself."""
    writers: dict[str, str]
    """What is added to the stream: the norm after it (Gemma-2 has one), or the component itself."""


def stream_of(model: Model) -> Stream:
    """Found by trying it out: a norm belongs to the component whose input it puts out, or whose output it reads."""
    names = {component.path: name for name, component in model.components.items()}
    wrote, readers, writers = dict[int, str](), dict[str, str](), {name: path for path, name in names.items()}
    kept: list[torch.Tensor] = []  # alive until the end, so that no id is used twice

    def entering(path: str) -> Callable[..., None]:
        def hook(_: Any, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
            source = wrote.get(id(_first((*inputs, *named.values()))), "")
            if path in names:
                readers[names[path]] = source or path
            elif source in names:
                writers[names[source]] = path

        return hook

    def leaving(path: str) -> Callable[..., None]:
        def hook(_: Any, inputs: tuple[Any, ...], output: Any) -> None:
            kept.append(_first(output if isinstance(output, tuple) else (output,)))
            wrote[id(kept[-1])] = path

        return hook

    with ExitStack() as stack:
        for path, module in model.network.named_modules():
            if path in names or is_norm(module):
                stack.callback(module.register_forward_pre_hook(entering(path), with_kwargs=True).remove)
                stack.callback(module.register_forward_hook(leaving(path)).remove)
        try_out(model.network, model.device)
    return Stream(readers, writers)


def _first(values: tuple[Any, ...]) -> torch.Tensor:
    found: torch.Tensor = next(value for value in values if isinstance(value, torch.Tensor))
    return found


def is_norm(module: torch.nn.Module) -> bool:
    """Whether all of its own weights are vectors."""
    sizes = [parameter.dim() for parameter in module.parameters(recurse=False)]
    return bool(sizes) and max(sizes) == 1


def side_by_side(model: Model) -> bool:
    """Whether the MLP of a block reads the same stream as its attention, without what that wrote (GPT-NeoX, GPT-J)."""
    attention, mlp = model.components["attention.0"].path, model.components["mlp.0"].path
    read: list[torch.Tensor] = []

    def keep(_: Any, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        read.append(_first((*inputs, *named.values())))

    handle = model.network.get_submodule(mlp).register_forward_pre_hook(keep, with_kwargs=True)
    try:
        try_out(model.network, model.device)
        with intervened(model, {attention: lambda output: output + 1.0 + output.abs()}):
            try_out(model.network, model.device)
    finally:
        handle.remove()
    return torch.equal(read[0], read[1])
