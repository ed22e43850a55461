"""Asking the weights that a record says it edited: do they answer as it says? Nothing is edited again."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from unlearnbench.errors import MissingPrerequisite, RefusedSubmission
from unlearnbench.records import store
from unlearnbench.records.agreement import MOST_SHOWN, TOLERANCE, disagreements
from unlearnbench.records.record import Record, TaskResult, sealed
from unlearnbench.running.again import Again, Given, again
from unlearnbench.running.kept import EDIT, reapplied
from unlearnbench.running.runner import Progress

ATTACK_ERRORS = 3.0
"""Standard errors by which the result of an attack that trains may differ, where its items do not agree."""


@dataclass(frozen=True)
class Replay:
    """What the weights say."""

    record: Record
    exact: bool
    """Every item log came out bit for bit."""
    problems: tuple[str, ...]
    """What does not agree with the record; none where they are the same up to rounding."""


def replay(folder: Path, weights: Path, given: Given, progress: Progress) -> Replay:
    """Ask everything that the record in `folder` was asked, of the tensors in `weights`.

    Raises `MissingPrerequisite` where there are no tensors, `RefusedSubmission` where they are not those that the
    record's digest is of, and as `repeat` does.
    """
    record = store.load(folder)
    changed = record.weights.edited_sha256 != record.weights.base_sha256
    if changed and not (weights / EDIT).is_file():
        raise MissingPrerequisite(
            f"{folder.name}: there are no edited weights to ask", f"give --weights FOLDER, which holds RUN/{EDIT}"
        )
    made = again(record, given)
    with tempfile.TemporaryDirectory() as scratch, made.running():
        made.runner.prepare(made.cell.split)
        if changed:
            shutil.copyfile(weights / EDIT, Path(scratch, EDIT))
            _refuse_other_weights(made, record, Path(scratch))
        blank = record.model_copy(update={"spec": made.cell.spec, "tasks": []})
        store.save(sealed(blank), {}, Path(scratch))
        replayed = made.runner.run(made.cell, Path(scratch), progress)
        problems, exact = list[str](), True
        for mine, theirs in zip(record.tasks, replayed.tasks, strict=True):
            exact &= mine.samples.sha256_uncompressed == theirs.samples.sha256_uncompressed
            problems += _problems(made, mine, folder, theirs, Path(scratch))
    return Replay(record, exact, tuple(problems))


def _refuse_other_weights(made: Again, record: Record, folder: Path) -> None:
    with reapplied(made.runner.loaded().model, record, folder) as fits:
        if fits is None:
            raise RefusedSubmission(
                f"{EDIT} does not make the model of the record, whose digest is {record.weights.edited_sha256[:19]}"
            )


def _problems(made: Again, mine: TaskResult, folder: Path, theirs: TaskResult, scratch: Path) -> list[str]:
    if mine.samples.sha256_uncompressed == theirs.samples.sha256_uncompressed:
        return []
    rows, now = store.load_rows(folder, mine.samples), store.load_rows(scratch, theirs.samples)
    found = disagreements(rows, now, TOLERANCE[made.located.source.dtype])
    if found and made.trains(mine.spec.name):
        return _too_far(mine, theirs)
    more = [f"{mine.spec.name}: and {len(found) - MOST_SHOWN:,} more"] if len(found) > MOST_SHOWN else []
    return [f"{mine.spec.name}: {one}" for one in found[:MOST_SHOWN]] + more


def _too_far(mine: TaskResult, theirs: TaskResult) -> list[str]:
    """Training amplifies the last bits: of an attack that trains, the result must agree within its error."""
    found = []
    for metric, now in zip(mine.metrics, theirs.metrics, strict=False):
        error = ATTACK_ERRORS * (metric.stderr or 0.0)
        if metric.primary and abs(metric.value - now.value) > max(error, 1e-3):
            found.append(f"{mine.spec.name}: {metric.name} was {metric.value:.3f} ± {error:.3f} and is {now.value:.3f}")
    return found
