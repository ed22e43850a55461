"""Answers before the end: what the output layer would say of a block's output, or of what one sublayer writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from unlearnbench.model.hooks import forwarding, intervened, recorded

if TYPE_CHECKING:
    from unlearnbench.lazy import torch
    from unlearnbench.model.model import Model


@contextmanager
def ending_at(model: Model, block: int, writer: str | None = None) -> Iterator[None]:
    """Within: the final norm and the output layer read what this block leaves, or what a module inside it writes.

    `writer` is that module's path.
    The blocks above do nothing. This is the logit lens (nostalgebraist, 2020), with the model's own norm and whatever
    its architecture does to logits.
    """
    blocks = list(model.network.get_submodule(model.family.blocks).children())
    path = f"{model.family.blocks}.{block}"
    with ExitStack() as stack:
        for above in blocks[block + 1 :]:
            stack.enter_context(_doing_nothing(above, blocks[block]))
        if writer is not None:
            seen = stack.enter_context(recorded(model, {writer: writer}))
            stack.enter_context(intervened(model, {path: lambda _: seen[writer]}))
        yield


@contextmanager
def _doing_nothing(block: torch.nn.Module, like: torch.nn.Module) -> Iterator[None]:
    """Within: this block passes on what it reads, in the form that another one answers in."""
    form: list[tuple[Any, ...] | None] = [None]

    def note(_module: Any, _inputs: Any, output: Any) -> None:
        form[0] = output[1:] if isinstance(output, tuple) else None

    def passing(hidden: torch.Tensor, *_others: Any, **_named: Any) -> Any:
        return hidden if form[0] is None else (hidden, *form[0])

    handle = like.register_forward_hook(note)
    try:
        with forwarding(block, passing):
            yield
    finally:
        handle.remove()
