"""Attention heads: what each one puts out, before the projection that mixes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from unlearnbench.errors import UsageError
from unlearnbench.lazy import torch
from unlearnbench.model.hooks import noting

if TYPE_CHECKING:
    from unlearnbench.model.model import Model

    Change = Callable[[torch.Tensor], torch.Tensor]
    """A function of [batch, positions, heads, width of a head]."""


def head_count(model: Model) -> int:
    """Query heads of each block."""
    return int(model.network.config.get_text_config().num_attention_heads)


def groups_of(model: Model) -> int:
    """Heads of each block that have keys and values of their own; as many query heads belong to each."""
    attention, config = model.network.get_submodule(model.components["attention.0"].path), model.network.config
    own = getattr(attention, "num_kv_heads", None)  # Falcon's, of which its configuration tells something else
    return int(own or getattr(config.get_text_config(), "num_key_value_heads", None) or head_count(model))


def head_mixers(model: Model) -> list[str]:
    """Path of the module of each block that reads the heads' outputs. Raises `UsageError` where there are no heads."""
    found = []
    for block in range(model.blocks):
        name = f"attention.{block}"
        path = model.projections.get(name)
        weight: Any = None if path is None else model.network.get_submodule(path).weight
        width = 0 if weight is None else weight.numel() // model.width
        if path is None or width % head_count(model):
            what = "ends with no matrix" if path is None else f"ends with a matrix that reads {width} numbers"
            raise UsageError(f"{name} {what}, which are not {head_count(model)} heads")
        found.append(path)
    return found


@contextmanager
def heads_changed(model: Model, paths: Sequence[str], changes: Mapping[int, Change]) -> Iterator[None]:
    """Within: the heads' outputs in these blocks are replaced by a function of themselves; see `head_mixers`."""
    count = head_count(model)

    def replacing(change: Change) -> Callable[..., Any]:
        def hook(_: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
            heads = inputs[0].view(*inputs[0].shape[:-1], count, -1)
            return (change(heads).flatten(-2), *inputs[1:])

        return hook

    with ExitStack() as stack:
        for block, change in changes.items():
            module = model.network.get_submodule(paths[block])
            stack.callback(module.register_forward_pre_hook(replacing(change)).remove)
        yield


@contextmanager
def heads_tapped(model: Model, paths: Sequence[str]) -> Iterator[dict[int, torch.Tensor]]:
    """Within: the heads' outputs [batch, positions, heads, width] of every block at the latest forward pass."""
    seen: dict[int, torch.Tensor] = {}
    with heads_changed(model, paths, {block: noting(seen, block) for block in range(model.blocks)}):
        yield seen
