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
    gradients: Mapping[str, bool]
    """Whether each parameter wants gradients."""
    answers: torch.Tensor
    """Logits on a probe: also sees what no attribute shows, such as a replaced `forward`."""

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
            return f"parameter {flags[0]!r} has another gradient flag"
        if edited or torch.equal(self.answers, before.answers):
            return None
        if not _nearly(self.answers, before.answers):
            return "its weights are the same and its answers are not"
        return None


def fingerprint(model: Model, weights: Mapping[str, str] | None = None) -> Fingerprint:
    """The model as it is now; `weights` are its digests where they are known already."""
    network = model.network
    buffers = (tensor_bytes(name, buffer.detach()) for name, buffer in network.named_buffers())
    return Fingerprint(
        weights=weights or model.tensor_digests(),
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
        gradients={name: p.requires_grad for name, p in model.parameters.items()},
        answers=_answers(model),
    )


def _answers(model: Model) -> torch.Tensor:
    count = min(PROBE_TOKENS, len(model.tokenizer))
    with torch.no_grad():
        found = model.network(input_ids=torch.arange(count, device=model.device)[None], use_cache=False).logits
    kept: torch.Tensor = found.detach().float().cpu()
    return kept


def _nearly(mine: torch.Tensor, theirs: torch.Tensor) -> bool:
    """On an accelerator the same weights may answer a last bit differently; on a CPU they do not."""
    return torch.cuda.is_available() and mine.shape == theirs.shape and torch.allclose(mine, theirs, atol=1e-3)


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
