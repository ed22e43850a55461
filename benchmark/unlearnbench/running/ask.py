"""Asking one task of the edited model, and turning its rows into numbers."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, NamedTuple

from unlearnbench.asking.row import Metric, Row
from unlearnbench.asking.task import Task
from unlearnbench.errors import UnlearnBenchError
from unlearnbench.facts import Split
from unlearnbench.records.recompute import Grouped, Measure, by_subset, complete, estimates
from unlearnbench.records.record import MetricResult, SamplesFile, TaskResult, task_result_hash
from unlearnbench.records.spec import TaskSpec
from unlearnbench.records.store import described_log, item_log

if TYPE_CHECKING:
    from unlearnbench.asking.place import AskingPlace
    from unlearnbench.model.model import Model


class Undelivered(UnlearnBenchError):
    """A task did not deliver what it declares."""


class Answer(NamedTuple):
    """What a task found, and its item log."""

    result: TaskResult
    log: bytes


def ask(
    model: Model, split: Split, task: Task, spec: TaskSpec, edit_hash: str, session: int, place: AskingPlace
) -> Answer:
    """Ask it; a task that trains works on a model that is put back afterwards."""
    with model.restored() if task.trains else nullcontext():
        rows = task.rows(model, split, place)
    metrics = results(spec.name, task, task.metrics(split), rows)
    log = item_log(row.as_line() for row in rows)
    samples: SamplesFile = described_log(spec.slug, log)
    found = task_result_hash(edit_hash, spec.hash, metrics, samples)
    result = TaskResult(
        spec=spec, spec_hash=spec.hash, result_hash=found, session=session, metrics=metrics, samples=samples
    )
    return Answer(result, log)


def primary_of(name: str, task: Task, metrics: Sequence[Metric]) -> Metric:
    """The metric that tables show; raises `Undelivered` where it is not declared, or is a curve."""
    primary = [metric for metric in metrics if metric.name == task.primary] if task.primary else list(metrics[:1])
    if len(primary) != 1 or primary[0].at:
        what = "declares it as a curve" if primary else "does not declare it"
        raise Undelivered(f"task {name}: its primary metric is {task.primary!r}, and metrics() {what}")
    return primary[0]


def results(name: str, task: Task, metrics: Sequence[Metric], rows: Sequence[Row]) -> list[MetricResult]:
    """Every declared metric, at each of its coordinates.

    Raises `Undelivered` where a metric has no rows with its coordinates, and where the primary metric is
    not declared or is a curve: a hole in a table must have a reason.
    """
    primary = primary_of(name, task, metrics)
    if not isinstance(rows, list) or not all(isinstance(row, Row) for row in rows):
        raise Undelivered(f"task {name}: rows() returned {type(rows).__name__}", "return a list of Row")
    grouped = by_subset(row.as_line() for row in rows)
    return [result for metric in metrics for result in _of_metric(name, metric, grouped, primary=metric is primary)]


def _of_metric(name: str, metric: Metric, grouped: Grouped, *, primary: bool) -> list[MetricResult]:
    measure = Measure(metric.subset, metric.value, metric.at, metric.floor, metric.ceiling, metric.weight)
    found = estimates(grouped, measure)
    if not found and metric.ceiling is not None and complete(grouped, measure):
        return []  # floor and ceiling are too near each other to say how far between them it is
    if not found:
        what = f"metric {metric.name!r} is the mean of {metric.value!r} over subset {metric.subset!r}"
        along = f" along {', '.join(metric.at)}" if metric.at else ""
        hint = "declare in metrics() what rows() delivers"
        raise Undelivered(f"task {name}: {what}{along}, and no row has that", hint)
    return [
        MetricResult(
            name=metric.name,
            axis=metric.axis,
            direction=metric.better,
            primary=primary,
            value=one.value,
            stderr=one.stderr,
            interval=one.interval,
            n=one.n,
            n_clusters=one.clusters,
            chance=metric.chance,
            subset=metric.subset,
            sample_field=metric.value,
            at=dict(zip(metric.at, at, strict=True)),
            floor=metric.floor,
            ceiling=metric.ceiling,
            weight=metric.weight,
        )
        for at, one in found.items()
    ]
