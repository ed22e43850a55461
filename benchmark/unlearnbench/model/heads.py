"""Attention heads: what each one puts out, before the projection that mixes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from unlearnbench.errors import UsageError
from unlearnbench.lazy import torch
from unlearnbench.model.check import try_out
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
    config = model.network.config.get_text_config()
    return int(getattr(config, "num_key_value_heads", None) or head_count(model))


def projections(model: Model) -> list[str]:
    """Path of the module of each block that reads the heads' outputs: the last one with a matrix in the attention.

    Found by trying it out and looking which module comes last, whatever it is called. To be called before outputs are
    replaced: replacements are as long as their prompts.
    Raises `UsageError` where what it reads cannot be cut into heads.
    """
    called: dict[int, tuple[str, int]] = {}
    with ExitStack() as stack:
        for block in range(model.blocks):
            path = model.components[f"attention.{block}"].path
            for inner, module in model.network.get_submodule(path).named_modules():
                if isinstance(getattr(module, "weight", None), torch.nn.Parameter) and module.weight.dim() == 2:

                    def note(_: Any, inputs: Any, block: int = block, where: str = f"{path}.{inner}") -> None:
                        called[block] = (where, inputs[0].shape[-1])

                    stack.callback(module.register_forward_pre_hook(note).remove)
        try_out(model.network, model.device)
    for where, width in called.values():
        if width % head_count(model):
            raise UsageError(f"{where} reads {width} numbers, which are not {head_count(model)} heads")
    return [called[block][0] for block in range(model.blocks)]


@contextmanager
def heads_changed(model: Model, mixers: Sequence[str], changes: Mapping[int, Change]) -> Iterator[None]:
    """Within: the heads' outputs in these blocks are replaced by a function of themselves; see `projections`."""
    count = head_count(model)

    def replacing(change: Change) -> Callable[..., Any]:
        def hook(_: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
            heads = inputs[0].view(*inputs[0].shape[:-1], count, -1)
            return (change(heads).flatten(-2), *inputs[1:])

        return hook

    with ExitStack() as stack:
        for block, change in changes.items():
            module = model.network.get_submodule(mixers[block])
            stack.callback(module.register_forward_pre_hook(replacing(change)).remove)
        yield


@contextmanager
def heads_tapped(model: Model, mixers: Sequence[str]) -> Iterator[dict[int, torch.Tensor]]:
    """Within: the heads' outputs [batch, positions, heads, width] of every block at the latest forward pass."""
    seen: dict[int, torch.Tensor] = {}
    with heads_changed(model, mixers, {block: noting(seen, block) for block in range(model.blocks)}):
        yield seen
