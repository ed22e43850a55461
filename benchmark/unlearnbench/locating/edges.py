"""Edge attribution: what an answer owes to each pair of components, one of which reads what the other wrote."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from unlearnbench.lazy import torch
from unlearnbench.locating.contrast import Pairs
from unlearnbench.locating.patching import middles, moved, on_the_way
from unlearnbench.model.hooks import intervened
from unlearnbench.model.readers import Stream, side_by_side, stream_of

if TYPE_CHECKING:
    from unlearnbench.model.model import Model

LOGITS = "logits"
"""The reader at the end: all that comes after the last block."""


def edge_effects(model: Model, pairs: Pairs, points: int) -> dict[tuple[str, str], torch.Tensor]:
    """EAP-IG (Hanna et al. 2024): (clean − corrupted writing of u) · ∂m/∂(what v reads) [facts], for every u before v.

    The gradient is the mean over so many points on the way from the clean to the corrupted embeddings.
    `v` is a component, or `logits`.
    """
    stream = stream_of(model)
    change, order = (
        moved(model, pairs, stream.writers),
        {name: place for place, name in enumerate((*model.components, LOGITS))},
    )
    slopes: dict[str, torch.Tensor] = {}
    for share in middles(points):
        with on_the_way(model, pairs, share), _reading(model, stream) as leaves:
            m = pairs.difference(model, pairs.clean)
            found = torch.autograd.grad(m.sum(), list(leaves.values()))
        for name, slope in zip(leaves, found, strict=True):
            slopes[name] = slopes.get(name, 0) + slope / points
    beside = side_by_side(model)
    return {
        (u, v): (change[u] * slopes[v]).float().sum((1, 2))
        for u in change
        for v in slopes
        if order[u] < order[v] and not (beside and v != LOGITS and _block(u) == _block(v))
    }


def _block(name: str) -> str:
    return name.partition(".")[2]


@contextmanager
def _reading(model: Model, stream: Stream) -> Iterator[dict[str, torch.Tensor]]:
    """Within: zeros are added to what each component reads; the gradient of each is that of its path alone."""
    leaves: dict[str, torch.Tensor] = {}

    def adding(name: str) -> Callable[..., Any]:
        def hook(_: Any, inputs: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
            key = next((key for key, value in named.items() if isinstance(value, torch.Tensor)), "")
            read = inputs[0] if inputs else named[key]
            leaves[name] = torch.zeros_like(read, requires_grad=True)
            if inputs:
                return (read + leaves[name], *inputs[1:]), named
            return inputs, {**named, key: read + leaves[name]}

        return hook

    def ending(output: torch.Tensor) -> torch.Tensor:
        leaves[LOGITS] = torch.zeros_like(output, requires_grad=True)
        return output + leaves[LOGITS]

    last = f"{model.family.blocks}.{model.blocks - 1}"
    with model.trainable(()), intervened(model, {last: ending}), ExitStack() as stack:
        for name, path in stream.readers.items():
            module = model.network.get_submodule(path)
            stack.callback(module.register_forward_pre_hook(adding(name), with_kwargs=True).remove)
        yield leaves
