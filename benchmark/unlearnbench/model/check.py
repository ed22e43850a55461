"""Is what a family calls a component really one? With its weights at zero it must put out zero.

In BLOOM and MPT a sublayer adds the residual stream itself: effects, swaps and norms of such an output would be those
of the whole stream.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unlearnbench.lazy import torch

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def try_out(network: PreTrainedModel, device: torch.device) -> None:
    """Run two tokens through the network, for whoever watches its modules."""
    with torch.no_grad():
        network(input_ids=torch.tensor([[0, 1]], device=device), use_cache=False)


def output_without_weights(network: PreTrainedModel, path: str, device: torch.device) -> float:
    """The largest value that a module puts out, for two tokens, while all of its own weights are zero."""
    module, seen = network.get_submodule(path), list[torch.Tensor]()
    copies = [(parameter, parameter.detach().clone()) for parameter in module.parameters()]

    def keep(_module: Any, _inputs: Any, output: Any) -> None:
        seen.append((output[0] if isinstance(output, tuple) else output).clone())  # Falcon adds to it in place

    handle = module.register_forward_hook(keep)
    try:
        with torch.no_grad():
            for parameter, _ in copies:
                parameter.zero_()
        try_out(network, device)
    finally:
        handle.remove()
        with torch.no_grad():
            for parameter, copy in copies:
                parameter.copy_(copy)
    return max((float(output.abs().max()) for output in seen), default=0.0)
