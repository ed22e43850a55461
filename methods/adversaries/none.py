"""Nobody: plain training."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from unlearnbench.editing.adversary import Adversary, Defence, Strike
from unlearnbench.editing.objective import About
from unlearnbench.model.model import Model
from unlearnbench.registry import register


@register("none")
@dataclass(frozen=True, kw_only=True)
class Nobody(Adversary):
    """No perturbation."""

    def strike(self, model: Model, defence: Defence) -> Strike:
        return Nothing()


class Nothing(Strike):
    """No perturbation."""

    told: Mapping[str, float] = {}

    def on(self, about: About) -> AbstractContextManager[None]:
        return nullcontext()
