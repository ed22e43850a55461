"""Answers before the end: what the output layer would say of a block's output, or of what one sublayer writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Literal

from unlearnbench.model.hooks import intervened, recorded
from unlearnbench.model.readers import stream_of

if TYPE_CHECKING:
    from unlearnbench.lazy import torch
    from unlearnbench.model.model import Model

Stream = Literal["block", "attention", "mlp"]


@contextmanager
def ending_at(model: Model, block: int, stream: Stream = "block") -> Iterator[None]:
    """Within: the final norm and the output layer read what this block leaves, or what its attention or MLP writes.

    The blocks above do nothing. This is the logit lens (nostalgebraist, 2020), with the model's own norm and whatever
    its architecture does to logits.
    """
    blocks = list(model.network.get_submodule(model.family.blocks).children())
    path = f"{model.family.blocks}.{block}"
    with ExitStack() as stack:
        for above in blocks[block + 1 :]:
            stack.enter_context(_doing_nothing(above, blocks[block]))
        if stream != "block":
            seen = stack.enter_context(recorded(model, {stream: stream_of(model).writers[f"{stream}.{block}"]}))
            stack.enter_context(intervened(model, {path: lambda _: seen[stream]}))
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
    before = block.__dict__.get("forward")
    block.forward = passing
    try:
        yield
    finally:
        handle.remove()
        if before is None:
            del block.forward
        else:
            block.forward = before
