"""Single matrices of components, as components of their own: `mlp.3.down_proj`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unlearnbench.lazy import torch
from unlearnbench.model.model import Component

if TYPE_CHECKING:
    from unlearnbench.model.model import Model


def matrices_of(model: Model) -> dict[str, Component]:
    """Every module within a component that has a matrix of its own, with its bias; in order of depth."""
    found = {}
    for name, component in model.components.items():
        for inner, module in model.network.get_submodule(component.path).named_modules():
            weight = getattr(module, "weight", None)
            if isinstance(weight, torch.nn.Parameter) and weight.dim() == 2 and inner:
                path = f"{component.path}.{inner}"
                own = (f"{path}.{key}" for key, _ in module.named_parameters(recurse=False))
                mine = tuple(key for key in own if key in model.parameters)  # tied ones have one name, elsewhere
                found[f"{name}.{inner}"] = Component(f"{name}.{inner}", path, mine, model.size(mine))
    return found
