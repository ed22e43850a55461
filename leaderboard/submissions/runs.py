"""One run of a submission, read with suspicion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from unlearnbench.errors import RefusedSubmission
from unlearnbench.hashing import bytes_hash
from unlearnbench.leaderboard.asked import asked_of
from unlearnbench.leaderboard.entries import UNEXPECTED
from unlearnbench.leaderboard.evidence import answers
from unlearnbench.leaderboard.submissions.hostile_json import parsed, validated
from unlearnbench.leaderboard.submissions.inventory import LARGEST_LOGS, LOG, Found, inflated, read
from unlearnbench.leaderboard.submissions.item_rows import problem_of
from unlearnbench.leaderboard.submissions.names import unshown
from unlearnbench.records.any_attack import attacks_of
from unlearnbench.records.recompute import contradictions
from unlearnbench.records.record import Record, TaskResult
from unlearnbench.records.store import RESULT, schema_problem

Rows = Sequence[Mapping[str, Any]]


class Run(NamedTuple):
    """One run of a submission."""

    path: str
    """Of its folder, from the submission's."""
    record: Record
    asked: Mapping[str, str]
    """Digests of what it was asked, by task; empty where only the files were looked at."""


def read_run(folder: Path, path: str, files: Sequence[Found], *, recompute: bool) -> Run:
    """A run, of which everything follows; raises `RefusedSubmission`."""
    where = f"{path}/{RESULT}"
    data = read(folder, where)
    if problem := schema_problem(parsed(data, where)):
        raise RefusedSubmission(f"{where}: {problem[0]}", problem[1])
    record = validated(data, where, Record)
    if problems := record.problems():
        raise RefusedSubmission(f"{where}: it was changed after it was written: {', '.join(problems)}")
    if record.spec.path != path:
        raise RefusedSubmission(f"{where}: its folder should be {record.spec.path[:300]!r}", "pack again")
    if unfit := unshown(record):
        raise RefusedSubmission(f"{where}: {unfit}")
    logs = {one.path for one in files if one.path.rpartition("/")[0] == path and one.path.endswith(LOG)}
    named = {f"{path}/{one.samples.path}" for one in record.tasks}
    for one in sorted(logs ^ named):
        raise RefusedSubmission(f"{one[:300]}: {'no task names it' if one in logs else 'it is missing'}")
    if sum(one.samples.bytes_uncompressed for one in record.tasks) > LARGEST_LOGS:
        raise RefusedSubmission(f"{where}: item logs of more than {LARGEST_LOGS:,} bytes")
    return Run(path, record, _asked(folder, path, record) if recompute else {})


def _asked(folder: Path, path: str, record: Record) -> Mapping[str, str]:
    """Digests of what it was asked, once all of its item logs were found to be what its numbers follow from."""
    rows = {one.spec_hash: read_rows(folder, path, one) for one in record.tasks}
    try:
        attacks_of(record, rows)
        answers(record, rows)
        return asked_of(record, rows)
    except UNEXPECTED as error:
        what = f"{path}: an item log is of another shape: {type(error).__name__} {str(error)[:100]}"
        raise RefusedSubmission(what) from None


def read_rows(folder: Path, path: str, task: TaskResult) -> Rows:
    """The item log, all of whose numbers are the record's."""
    where, said = f"{path}/{task.samples.path}", task.samples
    log = inflated(read(folder, where), said.bytes_uncompressed, where)
    if bytes_hash(log) != said.sha256_uncompressed:
        raise RefusedSubmission(f"{where}: it is not the item log that {RESULT} describes")
    lines = log.splitlines()
    if len(lines) != said.n:
        raise RefusedSubmission(f"{where}: {len(lines):,} lines, and {RESULT} says {said.n:,}")
    rows = [parsed(line, f"{where}: line {number}", shown=False) for number, line in enumerate(lines, 1)]
    for number, row in enumerate(rows, 1):
        if problem := problem_of(row, task.spec.name):
            raise RefusedSubmission(f"{where}: line {number}: {problem}")
    try:
        wrong = contradictions(task, rows)
    except UNEXPECTED as error:
        raise RefusedSubmission(f"{where}: it is no item log: {type(error).__name__} {error}") from None
    if wrong:
        raise RefusedSubmission(f"{where}: {', '.join(wrong[:5])} in {RESULT} does not follow from it")
    return rows
