"""Asking the weights that a record says it edited: do they answer as it says? Nothing is edited again."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from unlearnbench.asking.attack import Attack
from unlearnbench.errors import MissingPrerequisite, RefusedSubmission
from unlearnbench.records import store
from unlearnbench.records.agreement import TOLERANCE, disagreements, other_items
from unlearnbench.records.definitions import definitions
from unlearnbench.records.record import Record, TaskResult, sealed
from unlearnbench.running.again import Again
from unlearnbench.running.damage import collapse, read
from unlearnbench.running.kept import EDIT, reapplied
from unlearnbench.running.runner import Progress

ATTACK_ERRORS, LEAST_ERROR = 3.0, 0.02
"""Standard errors by which the result of an attack may differ where its items do not agree: training amplifies the last
bits; and the least that is forgiven."""
MOST_SHOWN = 3


@dataclass(frozen=True)
class Replay:
    """What the weights say."""

    record: Record
    exact: bool
    """Every item log came out bit for bit."""
    problems: tuple[str, ...]
    """What does not agree with the record; none where they are the same up to rounding."""


def replay(folder: Path, weights: Path, made: Again, progress: Progress) -> Replay:
    """Ask everything that the record in `folder`, planned as `made`, was asked, of the tensors in `weights`.

    Raises `MissingPrerequisite` where there are no tensors, `RefusedSubmission` where they are not those that the
    record's digest is of, or make no valid run.
    """
    record = store.load(folder)
    changed = record.weights.edited_sha256 != record.weights.base_sha256
    if not changed and record.spec.method.name != "none":
        raise RefusedSubmission(f"{folder.name}: every weight is what it was, which is no completed edit")
    if changed and not (weights / EDIT).is_file():
        raise MissingPrerequisite(
            f"{folder.name}: there are no edited weights to ask", f"give --weights FOLDER, which holds RUN/{EDIT}"
        )
    others = [one for one in made.changed if not one.startswith("method")]
    if others:
        raise RefusedSubmission(f"{folder.name}: {others[0]} is not what it was when the record was made")
    with tempfile.TemporaryDirectory() as scratch, made.running():
        made.runner.prepare(made.cell.split)
        if changed:
            shutil.copyfile(weights / EDIT, Path(scratch, EDIT))
            _refuse_broken(made, record, Path(scratch))
        blank = record.model_copy(update={"spec": made.cell.spec, "tasks": []})
        store.save(sealed(blank), {}, Path(scratch))
        replayed = made.runner.run(made.cell, Path(scratch), progress)
        problems, exact = list[str](), True
        for mine, theirs in zip(record.tasks, replayed.tasks, strict=True):
            exact &= mine.samples.sha256_uncompressed == theirs.samples.sha256_uncompressed
            problems += [f"{mine.spec.name}: {one}" for one in _problems(made, mine, folder, theirs, Path(scratch))]
    return Replay(record, exact, tuple(problems))


def _refuse_broken(made: Again, record: Record, folder: Path) -> None:
    """Weights that are not the record's, and weights that are no result: `completed` is the submitter's word so far."""
    runner, model = made.runner, made.runner.loaded().model
    base, retain = runner.base(made.cell), runner.retain(made.cell.split)
    before = read(model, retain)
    with reapplied(model, record, folder) as fits:
        if fits is None:
            raise RefusedSubmission(
                f"{EDIT} does not make the model of the record, whose digest is {record.weights.edited_sha256[:19]}"
            )
        broken = collapse(model, before.loss, read(model, retain).loss) or runner.nothing_kept(base)
    if broken:
        raise RefusedSubmission(f"{record.spec.path}: the record says it is a result, and the weights: {broken}")


def _problems(made: Again, mine: TaskResult, folder: Path, theirs: TaskResult, scratch: Path) -> list[str]:
    said, now = definitions(mine), definitions(theirs)
    for name in sorted(set(said) | set(now)):
        if said.get(name) != now.get(name):
            return [f"the metric {name} is not defined as the task defines it"]
    if mine.samples.sha256_uncompressed == theirs.samples.sha256_uncompressed:
        return []
    rows, again_ = store.load_rows(folder, mine.samples), store.load_rows(scratch, theirs.samples)
    if other := other_items(rows, again_):
        return [other]
    found = disagreements(rows, again_, TOLERANCE[made.located.source.dtype])
    if found and isinstance(made.task(mine.spec.name), Attack):
        return _too_far(mine, theirs)
    more = [f"and {len(found) - MOST_SHOWN:,} more"] if len(found) > MOST_SHOWN else []
    return found[:MOST_SHOWN] + more


def _too_far(mine: TaskResult, theirs: TaskResult) -> list[str]:
    """Of an attack, every result (on no curve) must agree within the error of what came out here."""
    results, found = {one.name: one for one in theirs.metrics if not one.at}, list[str]()
    for metric in (one for one in mine.metrics if not one.at):
        now = results[metric.name]
        error = max(ATTACK_ERRORS * (now.stderr or 0.0), LEAST_ERROR)
        if abs(metric.value - now.value) > error:
            found.append(f"{metric.name} was {metric.value:.3f} and is {now.value:.3f} ± {error:.3f}")
    return found
