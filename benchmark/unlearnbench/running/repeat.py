"""Doing a recorded run again, and comparing: the same result hash, or the first item and metric that differ."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unlearnbench.records import store
from unlearnbench.records.record import Record, TaskResult
from unlearnbench.running.again import Again, Given, again, differing
from unlearnbench.running.runner import Progress


def silent(stage: str, done: int, of: int) -> None:
    """No progress shown."""


@dataclass(frozen=True)
class Repetition:
    """What came out the second time."""

    recorded: Record
    repeated: Record
    changed: tuple[str, ...]
    """What of the specification is not what it was: code, facts or weights, by the name of the field."""
    difference: str | None
    """The first difference in status, metrics or item logs; None where there is none."""

    @property
    def same(self) -> bool:
        """Whether the same came out."""
        return self.difference is None


def repeat(path: Path, given: Given | None = None, progress: Progress = silent) -> Repetition:
    """Run a record again in a folder of its own, on the same device.

    A model on disk, a user's own facts and a retain file are known to a record by their digests only, and
    must be given again; so must paths that method, facts and tasks were given. Raises `UsageError` where something
    is not given; what is given and is not the same is named in `changed`.
    """
    folder = path if path.is_dir() else path.parent
    return repeat_planned(folder, again(store.load(folder), given or Given()), progress)


def repeat_planned(folder: Path, made: Again, progress: Progress = silent) -> Repetition:
    """The same of the record in `folder`, once it is planned."""
    record = store.load(folder)
    with tempfile.TemporaryDirectory() as scratch, made.running():
        made.runner.prepare(made.cell.split)
        repeated = made.runner.run(made.cell, Path(scratch), progress)
        difference = _difference(record, folder, repeated, Path(scratch))
    return Repetition(record, repeated, made.changed, difference)


def _difference(record: Record, folder: Path, repeated: Record, scratch: Path) -> str | None:
    if (record.status, record.invalid_reason) != (repeated.status, repeated.invalid_reason):
        return (
            f"status: {record.invalid_reason or record.status} then, {repeated.invalid_reason or repeated.status} now"
        )
    if record.used_sha256 != repeated.used_sha256:
        return f"facts left out as unknown: {record.unknown} then, {repeated.unknown} now, or others"
    for mine, theirs in zip(record.tasks, repeated.tasks, strict=True):
        found = _task_difference(mine, folder, theirs, scratch)
        if found:
            return f"{mine.spec.name}: {found}"
    return None


def _task_difference(mine: TaskResult, folder: Path, theirs: TaskResult, scratch: Path) -> str | None:
    if mine.samples.sha256_uncompressed != theirs.samples.sha256_uncompressed:
        rows, now = store.load_rows(folder, mine.samples), store.load_rows(scratch, theirs.samples)
        for row, other in zip(rows, now, strict=False):
            fields = differing(row, other)
            if fields:
                was, is_ = _at(row, fields[0]), _at(other, fields[0])
                return f"item {row['item']!r} ({row['subset']}): {fields[0]} was {was!r} and is {is_!r}"
        return f"it had {len(rows)} items and has {len(now)}"
    for metric, found in zip(mine.metrics, theirs.metrics, strict=False):
        if metric != found:
            return f"metric {metric.name} was {metric.value!r} and is {found.value!r}"
    return None if len(mine.metrics) == len(theirs.metrics) else "it has other metrics"


def _at(document: Any, name: str) -> Any:
    for key in name.split("."):
        document = document.get(key) if isinstance(document, dict) else None
    return document
