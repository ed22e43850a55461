"""The matrix with which a sublayer writes: the one whose output is the sublayer's own, whatever it is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from unlearnbench.lazy import torch
from unlearnbench.model.check import try_out

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def projections_of(network: PreTrainedModel, paths: Mapping[str, str], device: torch.device) -> dict[str, str]:
    """Path of the projection of each component (by path) that has one, found by trying it out.

    To be called before outputs are replaced: replacements are as long as their prompts.
    """
    said: dict[str, list[tuple[str, torch.Tensor]]] = {}
    whole: dict[str, torch.Tensor] = {}

    def noting(component: str, path: str) -> Callable[..., None]:
        def hook(_module: Any, _inputs: Any, output: Any) -> None:
            tensor = (output[0] if isinstance(output, tuple) else output).clone()  # Falcon adds to it in place
            if path == paths[component]:
                whole[component] = tensor
            else:
                said.setdefault(component, []).append((path, tensor))

        return hook

    with ExitStack() as stack:
        for name, whole_path in paths.items():
            for inner, module in network.get_submodule(whole_path).named_modules():
                weight = getattr(module, "weight", None)
                if not inner or (isinstance(weight, torch.nn.Parameter) and weight.dim() == 2):
                    path = f"{whole_path}.{inner}".rstrip(".")
                    stack.callback(module.register_forward_hook(noting(name, path)).remove)
        try_out(network, device)
    last = {name: calls[-1] for name, calls in said.items()}
    return {name: path for name, (path, output) in last.items() if torch.equal(output, whole[name])}
