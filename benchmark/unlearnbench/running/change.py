"""How far an edit moved the weights, and where."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from unlearnbench.editing.localization import Localization
from unlearnbench.lazy import torch
from unlearnbench.records.record import LocalizationResult

if TYPE_CHECKING:
    from unlearnbench.model.model import Model


def change_by_component(
    model: Model, where: Localization, copies: Mapping[str, torch.Tensor]
) -> dict[str, float | None]:
    """‖Δθ‖ per component, and of all other localized tensors under `other`."""
    components = model.places.values() if model.has_components else ()
    owner = {name: c.name for c in components for name in c.parameters}
    squares: dict[str, list[float]] = {}
    for name in sorted(where.tensors):
        difference = model.parameters[name].detach() - copies[name]
        norm = torch.linalg.vector_norm(difference, dtype=torch.float64).item()
        squares.setdefault(owner.get(name, "other"), []).append(norm**2)
    return {component: finite(_norm(values)) for component, values in squares.items()}


def localization_result(model: Model, where: Localization, change: Mapping[str, float | None]) -> LocalizationResult:
    """What a record says about where a method was allowed to write, and how much it wrote there."""
    size = model.size(where.tensors)
    return LocalizationResult(
        components=list(where.components),
        scores=dict(where.scores),
        tensors=sorted(where.tensors),
        parameters=size,
        share_of_blocks=size / model.block_size if model.has_components else None,
        change_by_component=dict(change),
        change_inside=finite(_norm([math.inf if value is None else value**2 for value in change.values()])),
        change_outside=0.0,  # by digest: anything else raises `Escaped`
    )


def finite(value: float) -> float | None:
    """The value, or None where JSON has no word for it."""
    return value if math.isfinite(value) else None


def _norm(squares: Sequence[float]) -> float:
    return math.sqrt(math.fsum(squares)) if all(map(math.isfinite, squares)) else math.inf
