"""Attention heads: what each one puts out, before the projection that mixes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from unlearnbench.errors import UsageError
from unlearnbench.lazy import torch

if TYPE_CHECKING:
    from unlearnbench.model.model import Model

    Change = Callable[[torch.Tensor], torch.Tensor]
    """A function of [batch, positions, heads, width of a head]."""


def head_count(model: Model) -> int:
    """Query heads of each block."""
    return int(model.network.config.get_text_config().num_attention_heads)


def projections(model: Model) -> list[str]:
    """Path of the module of each block that reads the heads' outputs: the last one with weights in the attention.

    Found by running one token and looking which module comes last, whatever it is called.
    Raises `UsageError` where what it reads cannot be cut into heads.
    """
    if model.projections is None:
        called: dict[str, tuple[str, int]] = {}
        paths = {f"attention.{block}": model.components[f"attention.{block}"].path for block in range(model.blocks)}
        with ExitStack() as stack:
            for name, path in paths.items():
                for inner, module in model.network.get_submodule(path).named_modules():
                    if isinstance(getattr(module, "weight", None), torch.nn.Parameter) and module.weight.dim() == 2:

                        def note(_: Any, inputs: Any, name: str = name, where: str = f"{path}.{inner}") -> None:
                            called[name] = (where, inputs[0].shape[-1])

                        stack.callback(module.register_forward_pre_hook(note).remove)
            with torch.no_grad():
                model.network(input_ids=torch.zeros((1, 1), dtype=torch.long, device=model.device), use_cache=False)
        for name, (where, width) in called.items():
            if width % head_count(model):
                raise UsageError(f"{where} reads {width} numbers, which are not {head_count(model)} heads of {name}")
        model.projections = [called[name][0] for name in paths]
    return model.projections


@contextmanager
def heads_changed(model: Model, changes: Mapping[int, Change]) -> Iterator[None]:
    """Within: the heads' outputs in these blocks are replaced by a function of themselves."""
    count, paths = head_count(model), projections(model)

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
def heads_tapped(model: Model) -> Iterator[dict[int, torch.Tensor]]:
    """Within: the heads' outputs [batch, positions, heads, width] of every block at the latest forward pass."""
    seen: dict[int, torch.Tensor] = {}

    def keep(block: int) -> Change:
        def record(heads: torch.Tensor) -> torch.Tensor:
            seen[block] = heads
            return heads

        return record

    with heads_changed(model, {block: keep(block) for block in range(model.blocks)}):
        yield seen
