"""Is what a family calls a component really one? With its weights at zero it must put out zero."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from unlearnbench.errors import UsageError
from unlearnbench.lazy import torch

if TYPE_CHECKING:
    from unlearnbench.model.model import Component, Model


def refuse_what_is_no_component(model: Model, components: Mapping[str, Component]) -> None:
    """Raise `UsageError` where a module puts out more than its own weights make of its input.

    In BLOOM and MPT a sublayer adds the residual stream itself, and Falcon adds the attention to what the MLP put
    out: effects, swaps and norms of such an output would be those of the whole stream. Blocks are alike, so
    the first and the last are looked at; one forward pass of a few tokens each.
    """
    names = list(components)
    for name in dict.fromkeys((*names[:2], *names[-2:])):
        left = _output_without_weights(model, components[name])
        if left > 0:
            family = model.family.name
            raise UsageError(
                f"{components[name].path} is not what family {family!r} takes it for: with its weights at zero it"
                f" still puts out up to {left:.3g}, such as the residual stream that it adds itself",
                "methods that need no components run all the same, such as full_finetune",
            )


def _output_without_weights(model: Model, component: Component) -> float:
    seen: list[torch.Tensor] = []
    module = model.network.get_submodule(component.path)
    handle = module.register_forward_hook(
        lambda _module, _inputs, output: seen.append(output[0] if isinstance(output, tuple) else output)
    )
    try:
        with model.restored(component.parameters) as copies, torch.no_grad():
            model.write({name: torch.zeros_like(copy) for name, copy in copies.items()})
            tokens = torch.arange(min(4, model.vocabulary), device=model.device)[None]
            model.network(input_ids=tokens, use_cache=False)
    finally:
        handle.remove()
    return max((float(output.abs().max()) for output in seen), default=0.0)
