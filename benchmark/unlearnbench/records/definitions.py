"""What the metrics of a task are, apart from what they found."""

from typing import Any

from unlearnbench.records.record import TaskResult

FOUND = frozenset({"value", "stderr", "interval", "n", "n_clusters"})
"""What a metric found; all its other fields say what it is."""


def definitions(one: TaskResult) -> dict[str, dict[str, Any]]:
    """By name, of the metrics that are on no curve: along a curve methods may differ in how far an attack came."""
    return {metric.name: metric.model_dump(mode="json", exclude=set(FOUND)) for metric in one.metrics if not metric.at}
