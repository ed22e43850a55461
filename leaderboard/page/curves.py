"""Recovery curves of a row: what is answered along an attack, as the mean over its seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from unlearnbench.records.record import MetricResult, Record

ANSWERED, NEVER = "curve_accuracy", "curve_never_known_accuracy"


def curves(records: Sequence[Record]) -> dict[str, Any]:
    """By attack: the axis, its points, the share answered, and of facts that nobody ever knew; in order of the axis.

    An attack along several coordinates is shown along its last numeric one, at the first of the others.
    """
    found = {}
    for task in dict.fromkeys(one.spec.name for record in records for one in record.tasks):
        metrics = [m for record in records for one in record.tasks if one.spec.name == task for m in one.metrics]
        answered = _along([m for m in metrics if m.name == ANSWERED])
        if answered is not None and len(answered[1]) > 1:
            axis, points = answered
            never = _along([m for m in metrics if m.name == NEVER])
            lines = {"x": list(points), "y": list(points.values())}
            found[task] = {"axis": axis, **lines, "never": list(never[1].values()) if never else []}
    return found


def _along(metrics: Sequence[MetricResult]) -> tuple[str, dict[float, float]] | None:
    """The axis, and the mean at each of its points."""
    if not metrics:
        return None
    numeric = [key for key, value in metrics[0].at.items() if isinstance(value, (int, float))]
    if not numeric:
        return None
    axis = numeric[-1]
    others = {key: value for key, value in metrics[0].at.items() if key != axis}
    values: dict[float, list[float]] = {}
    for one in metrics:
        where = one.at.get(axis)
        if isinstance(where, (int, float)) and {k: v for k, v in one.at.items() if k != axis} == others:
            values.setdefault(float(where), []).append(one.value)
    return axis, {x: round(math.fsum(ys) / len(ys), 4) for x, ys in sorted(values.items())}
