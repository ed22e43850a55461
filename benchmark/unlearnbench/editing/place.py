"""What an edit may use besides the model and the facts of its split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from unlearnbench.factset import FactsCard
from unlearnbench.model.source import ModelSource

if TYPE_CHECKING:
    from unlearnbench.editing.retain import RetainText
    from unlearnbench.model.model import Model


def silent(done: int, of: int) -> None:
    """No progress shown."""


@dataclass(frozen=True)
class EditingPlace:
    """Where a method and its parts work. There is no way from here to items that only tasks may see."""

    facts: FactsCard
    source: ModelSource
    retain: RetainText
    seed: int
    """Derived for this run and this purpose; an entry draws all its randomness from it."""
    progress: Callable[[int, int], None] = silent
    before: Path | None = None
    """The model before it was taught the facts: an oracle in the same shape. None for others."""
    reference: Model | None = None
    """The model of before the edit, for objectives that need one."""
    trained: frozenset[str] | None = None
    """The tensors that are trained, for objectives that look inside; None where it is not decided."""


def reference_of(place: EditingPlace) -> Model:
    """The model of before the edit. Raises `ValueError` where the objective does not say that it needs one."""
    if place.reference is None:
        raise ValueError("an objective that uses the model of before the edit says so: needs = {'reference'}")
    return place.reference
