"""Vectors in front of every prompt, in the place of the embeddings of tokens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from unlearnbench.lazy import torch

if TYPE_CHECKING:
    from unlearnbench.model.model import Model


@contextmanager
def prepended(model: Model, vectors: torch.Tensor) -> Iterator[None]:
    """Within: each sequence begins with these vectors [n, width], behind its BOS if the tokenizer gives one.

    Whoever reads logits finds them where they are without the vectors: what is computed at theirs is dropped before
    the output layer.
    """
    network, embeddings, head = (
        model.network,
        model.network.get_input_embeddings(),
        model.network.get_output_embeddings(),
    )
    kept = int(model.tokenizer.bos_token_id is not None and _begins_with_bos(model))

    def before(
        _module: Any, arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if "input_ids" not in named:
            raise TypeError("sequences are given by name: input_ids=")
        named = dict(named)
        read = embeddings(named.pop("input_ids"))
        mine = vectors.to(read.dtype).expand(len(read), -1, -1)
        return arguments, {**named, "inputs_embeds": torch.cat((read[:, :kept], mine, read[:, kept:]), 1)}

    def behind(_module: Any, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor]:
        hidden = inputs[0]
        return (torch.cat((hidden[:, :kept], hidden[:, kept + len(vectors) :]), 1),)

    with ExitStack() as stack:
        handles = [network.register_forward_pre_hook(before, with_kwargs=True), head.register_forward_pre_hook(behind)]
        for handle in handles:
            stack.callback(handle.remove)
        yield


def _begins_with_bos(model: Model) -> bool:
    ids = list(model.tokenizer("a").input_ids)
    return bool(ids) and ids[0] == model.tokenizer.bos_token_id
