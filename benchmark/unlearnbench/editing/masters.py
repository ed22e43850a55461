"""Weights in half precision are trained, and their gradients are summed, in float32."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from unlearnbench.lazy import torch

if TYPE_CHECKING:
    from torch.nn import Parameter


class Masters:
    """A float32 copy of every trained parameter that is not float32 itself; the others are their own."""

    def __init__(self, parameters: Mapping[str, Parameter]) -> None:
        self._pairs = [(parameter, _master(parameter)) for parameter in parameters.values()]

    @property
    def parameters(self) -> list[Parameter]:
        """What an optimizer steps."""
        return [master for _, master in self._pairs]

    def collect(self) -> None:
        """Add the gradients of one loss to the masters': several losses would round each other off in bfloat16."""
        for parameter, master in self._pairs:
            if master is not parameter and parameter.grad is not None:
                gradient, parameter.grad = parameter.grad.float(), None
                master.grad = gradient if master.grad is None else master.grad.add_(gradient)

    def clear(self) -> None:
        """Forget the gradients."""
        for _, master in self._pairs:
            master.grad = None

    def write(self) -> None:
        """Round the masters into the parameters."""
        with torch.no_grad():
            for parameter, master in self._pairs:
                if master is not parameter:
                    parameter.copy_(master)


def _master(parameter: Parameter) -> Parameter:
    if parameter.dtype == torch.float32:
        return parameter
    return torch.nn.Parameter(parameter.detach().float())
