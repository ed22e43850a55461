"""Is the model what it was? Weights, buffers, modules, hooks, flags, and what it says to a probe.

A run that leaves anything behind would contaminate every later one without a trace in any record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from unlearnbench.errors import UnlearnBenchError
from unlearnbench.lazy import torch
from unlearnbench.model.digest import tensor_digests
from unlearnbench.model.model import tensor_bytes

if TYPE_CHECKING:
    from unlearnbench.model.model import Model

PROBE_TOKENS = 16
HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
    "_state_dict_hooks",
)


class Escaped(UnlearnBenchError):
    """A method or a task changed what it had not declared."""


class ModuleState(NamedTuple):
    """What can be seen of one module without its weights."""

    kind: str
    identity: int
    training: bool
    hooks: tuple[int, ...]
    forward: int | None
    """Identity of a forward pass that was put in place of the class's own."""


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """Everything about a model that a later run could notice."""

    weights: Mapping[str, str]
    """Digest of each parameter."""
    buffers: Mapping[str, str]
    modules: Mapping[str, ModuleState]
    """By path."""
    gradients: Mapping[str, tuple[bool, bool, int, int]]
    """Of each parameter: whether it wants gradients, whether it has one, and how many hooks wait for it."""
    answers: torch.Tensor
    """Logits on a probe: also sees what no attribute shows, such as another scale of the attention."""
    tolerance: float
    """How far answers may differ, relative to the largest: nothing on a CPU; an accelerator may round otherwise."""

    def change_from(self, before: Fingerprint, *, edited: bool = False) -> str | None:
        """The first thing that is not what it was, in words; None where all is.

        Of a model that was `edited` in between, weights and answers are meant to differ.
        """
        modules = _differing(self.modules, before.modules)
        if modules:
            return _module_change(modules[0], self.modules, before.modules)
        weights = [] if edited else _differing(self.weights, before.weights)
        if weights:
            return f"parameter {weights[0]!r} changed"
        if buffers := _differing(self.buffers, before.buffers):
            return f"buffer {buffers[0]!r} changed"
        if flags := _differing(self.gradients, before.gradients):
            return f"parameter {flags[0]!r} has another gradient, gradient flag or number of gradient hooks"
        if edited or torch.equal(self.answers, before.answers):
            return None
        if self.answers.shape == before.answers.shape and self.tolerance > 0:
            scale = float(before.answers.abs().max())
            if float((self.answers - before.answers).abs().max()) <= self.tolerance * scale:
                return None
        return "its weights are the same and its answers are not"


def fingerprint(model: Model) -> Fingerprint:
    """The model as it is now."""
    network = model.network
    buffers = (tensor_bytes(name, buffer.detach()) for name, buffer in network.named_buffers())
    return Fingerprint(
        weights=model.tensor_digests(),
        buffers=tensor_digests(buffers),
        modules={
            path: ModuleState(
                kind=type(m).__name__,
                identity=id(m),
                training=m.training,
                hooks=tuple(len(getattr(m, hooks, ())) for hooks in HOOKS),
                forward=id(vars(m)["forward"]) if "forward" in vars(m) else None,
            )
            for path, m in network.named_modules()
        },
        gradients={name: _gradient_state(p) for name, p in model.parameters.items()},
        answers=_answers(model),
        tolerance=0.0 if model.device.type == "cpu" else 8 * torch.finfo(network.dtype).eps,
    )


def _answers(model: Model) -> torch.Tensor:
    count = min(PROBE_TOKENS, len(model.tokenizer))
    with torch.no_grad():
        found = model.network(input_ids=torch.arange(count, device=model.device)[None], use_cache=False).logits
    kept: torch.Tensor = found.detach().float().cpu()
    return kept


def _gradient_state(parameter: torch.nn.Parameter) -> tuple[bool, bool, int, int]:
    hooks = (parameter._backward_hooks, getattr(parameter, "_post_accumulate_grad_hooks", None))
    return parameter.requires_grad, parameter.grad is not None, *(len(found or ()) for found in hooks)  # type: ignore[return-value]


def _differing(mine: Mapping[str, object], theirs: Mapping[str, object]) -> list[str]:
    return [name for name in {**theirs, **mine} if mine.get(name) != theirs.get(name)]


def _module_change(path: str, mine: Mapping[str, ModuleState], theirs: Mapping[str, ModuleState]) -> str:
    if path not in theirs or path not in mine:
        return f"module {path!r} was {'added' if path in mine else 'removed'}"
    now, before = mine[path], theirs[path]
    if now.identity != before.identity:
        return f"module {path!r} ({before.kind}) was replaced"
    if now.training != before.training:
        return f"module {path!r} changed its mode"
    return f"module {path!r} has another {'number of hooks' if now.hooks != before.hooks else 'forward pass'}"
