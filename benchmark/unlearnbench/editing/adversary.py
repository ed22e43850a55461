"""Against whom a method trains: what may perturb the model while the forget loss is computed."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

from unlearnbench.errors import UnknownName
from unlearnbench.facts import Fact
from unlearnbench.model.model import Model

Adversary = Callable[[Model, Sequence[Fact]], AbstractContextManager[None]]
"""Makes the context within which the model is perturbed on these facts, and after which it is not."""


def nobody(model: Model, facts: Sequence[Fact]) -> AbstractContextManager[None]:
    """Plain training: no perturbation."""
    return nullcontext()


_ADVERSARIES: dict[str, Adversary] = {"none": nobody}
ADVERSARIES = tuple(_ADVERSARIES)
"""The adversaries by name."""


def adversary(name: str) -> Adversary:
    """The adversary of this name; raises `UnknownName`."""
    if name not in _ADVERSARIES:
        raise UnknownName("adversary", name, ADVERSARIES)
    return _ADVERSARIES[name]
