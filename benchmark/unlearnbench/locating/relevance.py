"""Relevance patching: gradients of a model in which what bends is held still.

RelP (Jafari et al. 2025): attribution patching with the coefficients of layer-wise relevance propagation instead of the
gradient. The rules: a norm divides by a constant, an activation multiplies by a constant, attention goes where it went,
and the two sides of a gate share what passes. With them what a layer puts out is a linear function of what it reads, so
that a first-order estimate has less to miss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from unlearnbench.errors import UsageError
from unlearnbench.lazy import torch
from unlearnbench.model.heads import groups_of, head_count
from unlearnbench.model.model import Model
from unlearnbench.model.readers import is_norm

NEARLY_ZERO = 1e-9
APART = ("q_proj", "k_proj")
"""Modules that put out queries and keys, …"""
TOGETHER = {"c_attn": "blocks", "qkv_proj": "blocks", "query_key_value": "groups"}
"""… and those that put out values, too: one after another, or group by group."""


@contextmanager
def linearized(model: Model) -> Iterator[None]:
    """Within: gradients follow the rules; what the model puts out is what it was.

    Raises `UsageError` for an attention whose queries and keys are not found.
    """
    with ExitStack() as stack:
        for module in model.network.modules():
            if is_norm(module):
                stack.callback(module.register_forward_hook(_norm).remove)
        for name, component in model.components.items():
            part = model.network.get_submodule(component.path)
            if name.startswith("mlp."):
                _mlp(part, stack)
            else:
                _attention(part, component.path, model, stack)
        yield


def _norm(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
    """The scale is a constant."""
    stream = inputs[0]
    if isinstance(module, torch.nn.LayerNorm):
        deviation = (stream.var(-1, unbiased=False, keepdim=True) + module.eps).sqrt().detach()
        centred = stream - stream.mean(-1, keepdim=True)
        return output.detach() + _only_gradient(centred / deviation * module.weight)
    return output.detach() + _only_gradient(stream * _ratio(output, stream))


def _only_gradient(value: torch.Tensor) -> torch.Tensor:
    return value - value.detach()


def _ratio(output: torch.Tensor, stream: torch.Tensor) -> torch.Tensor:
    """output / stream as a constant; nothing where there is nothing to divide by."""
    tiny = stream.abs() < NEARLY_ZERO
    return torch.where(tiny, 0.0, output / torch.where(tiny, 1.0, stream)).detach()


def _mlp(part: torch.nn.Module, stack: ExitStack) -> None:
    matrices = [m for m in part.modules() if getattr(getattr(m, "weight", None), "dim", int)() == 2]
    for module in part.modules():
        leaf = not list(module.children()) and not list(module.parameters())
        if leaf and not isinstance(module, torch.nn.Dropout):
            stack.callback(module.register_forward_hook(lambda _, x, y: x[0] * _ratio(y, x[0])).remove)
    if len(matrices) > 2 or _fused(matrices):
        stack.callback(matrices[-1].register_forward_pre_hook(lambda _, x: (0.5 * x[0] + 0.5 * x[0].detach(),)).remove)


def _fused(matrices: list[torch.nn.Module]) -> bool:
    """Whether gate and value come out of one matrix."""
    out, into = getattr(matrices[0], "out_features", 0), getattr(matrices[-1], "in_features", 1)
    return bool(out == 2 * into)


def _attention(part: torch.nn.Module, path: str, model: Model, stack: ExitStack) -> None:
    """No gradient through queries and keys."""
    heads, grouped = head_count(model), groups_of(model)
    found = 0
    for name, module in part.named_children():
        if name in APART:
            hook: Callable[..., Any] = lambda *words: words[-1].detach()  # noqa: E731
        elif TOGETHER.get(name) == "blocks":

            def hook(_: Any, inputs: Any, output: torch.Tensor) -> torch.Tensor:
                values = output.shape[-1] * grouped // (heads + 2 * grouped)
                return torch.cat([output[..., :-values].detach(), output[..., -values:]], -1)

        elif TOGETHER.get(name) == "groups":

            def hook(_: Any, inputs: Any, output: torch.Tensor) -> torch.Tensor:
                each = output.view(*output.shape[:-1], grouped, heads // grouped + 2, -1)
                return torch.cat([each[..., :-1, :].detach(), each[..., -1:, :]], -2).flatten(-3)

        else:
            continue
        found += 1
        stack.callback(module.register_forward_hook(hook).remove)
    if not found:
        known = ", ".join((*APART, *TOGETHER))
        raise UsageError(
            f"relp does not know what computes queries and keys in {path}",
            f"it knows modules called {known}; attribution_patching needs none",
        )
