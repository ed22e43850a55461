"""What a record says for the score: the values of its items, task by task."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from unlearnbench.records.any_attack import key_of
from unlearnbench.records.record import MetricResult, Record, metric_of

Axis = Literal["forget", "retain", "robust"]
Items = tuple[tuple[str, float], ...]
"""Subject and value of each item."""
Line = Mapping[str, Any]
WORTH_KEEPING = ("retain", "general")


@dataclass(frozen=True)
class Answered:
    """One task of one record."""

    axis: Axis
    values: Items
    chance: float | None
    """What guessing gives."""
    ceiling: Items = ()
    """Of an attack: what the base answers without it …"""
    floor: Items | float = ()
    """… and what the attack makes of facts that nobody ever knew."""


def answers(record: Record, rows: Mapping[str, Sequence[Line]]) -> dict[str, Answered]:
    """The tasks of a record that say something of forgetting, keeping or robustness, by `key_of` the task.

    `rows` are its item logs by the hash of the task.
    """
    found = {}
    for one in record.tasks:
        metric = metric_of(one)
        axis = None if metric is None else _axis(metric)
        if metric is not None and axis is not None:
            found[key_of(one.spec)] = _answered(metric, axis, rows[one.spec_hash])
    return found


def valued(lines: Iterable[Line], subset: str, field: str) -> Iterator[tuple[Line, float]]:
    """The lines of a subset that are on no curve and have this value, and the value."""
    for line in lines:
        if line["subset"] == subset and not line.get("at") and field in line["values"]:
            yield line, float(line["values"][field])


def _axis(metric: MetricResult) -> Axis | None:
    """What its primary metric is about; perplexities and the like have no value that is a guess, and are not scored."""
    if metric.axis == "forget":
        return "forget"
    if metric.axis == "robust":
        return "robust" if metric.ceiling is not None and metric.floor is not None else None
    scored = metric.axis in WORTH_KEEPING and metric.direction == "max" and metric.chance is not None
    return "retain" if scored else None


def _answered(metric: MetricResult, axis: Axis, lines: Sequence[Line]) -> Answered:
    def of(subset: str) -> Items:
        return tuple((line["cluster"], value) for line, value in valued(lines, subset, metric.sample_field))

    if axis != "robust":
        return Answered(axis, of(metric.subset), metric.chance)
    floor = of(metric.floor) if isinstance(metric.floor, str) else float(metric.floor or 0.0)
    return Answered(axis, of(metric.subset), metric.chance, of(metric.ceiling or ""), floor)
