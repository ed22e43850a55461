"""The first two levels of checking: the files are what they say, and every number follows from the item logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from unlearnbench.errors import RefusedSubmission, UnlearnBenchError
from unlearnbench.hashing import bytes_hash, file_hash
from unlearnbench.leaderboard.submissions.code import problems_of_code
from unlearnbench.leaderboard.submissions.hostile_json import parsed
from unlearnbench.leaderboard.submissions.inventory import (
    LOG,
    MANIFEST,
    VERIFIED,
    Found,
    inflated,
    inventory,
    read,
)
from unlearnbench.leaderboard.submissions.manifest import Manifest
from unlearnbench.records.recompute import contradictions
from unlearnbench.records.record import Record, TaskResult
from unlearnbench.records.store import RESULT, schema_problem

Rows = Sequence[Mapping[str, Any]]


class Run(NamedTuple):
    """One run of a submission."""

    path: str
    """Of its folder, from the submission's."""
    record: Record
    rows: Mapping[str, Rows]
    """Item logs by the hash of the task; empty where only the files were looked at."""


@dataclass
class Checked:
    """A submission, and what is wrong with it."""

    manifest: Manifest
    runs: list[Run] = field(default_factory=list)
    problems: list[UnlearnBenchError] = field(default_factory=list)


def checked(folder: Path, *, recompute: bool = True) -> Checked:
    """All that can be said of a submission without running anything.

    Raises `RefusedSubmission` where nothing more can be looked at: a file that should not be there, no manifest, or
    one that lists other files. What is wrong with single runs is collected.
    """
    files = inventory(folder)
    found = Checked(_manifest(folder, files))
    for path in (one.path for one in files if one.path.endswith(f"/{RESULT}")):
        try:
            found.runs.append(_run(folder, path.removesuffix(f"/{RESULT}"), files, recompute=recompute))
        except RefusedSubmission as error:
            found.problems.append(error)
    if not found.runs and not found.problems:
        raise RefusedSubmission(f"{folder.name}: there is no run in it", f"each is a folder with a {RESULT}")
    found.problems += _strays(files, found)
    found.problems += [problem for run in found.runs for problem in problems_of_code(run.path, run.record)]
    found.problems += _twice(found.runs)
    if recompute:
        found.problems += _other_items(found.runs)
    return found


def _manifest(folder: Path, files: Sequence[Found]) -> Manifest:
    if MANIFEST not in {one.path for one in files}:
        raise RefusedSubmission(f"{folder.name}: there is no {MANIFEST}", "`unlearnbench submit pack` writes it")
    data = read(folder, MANIFEST)
    parsed(data, MANIFEST)
    try:
        manifest = Manifest.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise RefusedSubmission(f"{MANIFEST}: {where}: {first['msg']}", _hint(where, Manifest)) from None
    if manifest.name != folder.name:
        raise RefusedSubmission(f"{MANIFEST}: it is named {manifest.name!r}, and its folder {folder.name!r}")
    listed = {one.path: one for one in manifest.files}
    there = {one.path: one.size for one in files if one.path not in (MANIFEST, VERIFIED)}
    for path in sorted(set(listed) ^ set(there)):
        what = "is not listed in" if path in there else "is missing, and is listed in"
        raise RefusedSubmission(f"{path[:200]}: it {what} {MANIFEST}")
    for path, one in listed.items():
        if one.size != there[path] or file_hash(folder / path) != one.sha256:
            raise RefusedSubmission(f"{path}: it is not the file that {MANIFEST} lists", "pack again")
    return manifest


def _run(folder: Path, path: str, files: Sequence[Found], *, recompute: bool) -> Run:
    where = f"{path}/{RESULT}"
    data = read(folder, where)
    document = parsed(data, where)
    if problem := schema_problem(document):
        raise RefusedSubmission(f"{where}: {problem[0]}", problem[1])
    try:
        record = Record.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        raise RefusedSubmission(f"{where}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    if problems := record.problems():
        raise RefusedSubmission(f"{where}: it was changed after it was written: {', '.join(problems)}")
    if record.spec.path != path:
        raise RefusedSubmission(f"{where}: its folder should be {record.spec.path[:300]!r}", "pack again")
    logs = {one.path for one in files if one.path.rpartition("/")[0] == path and one.path.endswith(LOG)}
    named = {f"{path}/{one.samples.path}" for one in record.tasks}
    for one in sorted(logs ^ named):
        raise RefusedSubmission(f"{one[:300]}: {'no task names it' if one in logs else 'it is missing'}")
    rows = {one.spec_hash: _rows(folder, path, one) for one in record.tasks} if recompute else {}
    return Run(path, record, rows)


def _rows(folder: Path, path: str, task: TaskResult) -> Rows:
    """The item log, all of whose numbers are the record's."""
    where, said = f"{path}/{task.samples.path}", task.samples
    log = inflated(read(folder, where), said.bytes_uncompressed, where)
    if bytes_hash(log) != said.sha256_uncompressed:
        raise RefusedSubmission(f"{where}: it is not the item log that {RESULT} describes")
    lines = log.splitlines()
    rows = [parsed(line, f"{where}: line {number}", shown=False) for number, line in enumerate(lines, 1)]
    if len(rows) != said.n:
        raise RefusedSubmission(f"{where}: {len(rows):,} lines, and {RESULT} says {said.n:,}")
    try:
        wrong = contradictions(task, rows)
    except (KeyError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        raise RefusedSubmission(f"{where}: it is no item log: {type(error).__name__} {error}") from None
    if wrong:
        raise RefusedSubmission(f"{where}: {', '.join(wrong[:5])} in {RESULT} does not follow from it")
    return rows


def _strays(files: Sequence[Found], found: Checked) -> list[UnlearnBenchError]:
    """Logs and weights beside no run."""
    folders = {one.path.rpartition("/")[0] for one in files if one.path.endswith(f"/{RESULT}")}
    paths = (one.path for one in files if one.path not in (MANIFEST, VERIFIED))
    return [
        RefusedSubmission(f"{path}: it is in the folder of no run") for path in paths if _above(path) not in folders
    ]


def _above(path: str) -> str:
    return path.rpartition("/")[0]


def _twice(runs: Sequence[Run]) -> list[UnlearnBenchError]:
    first: dict[str, str] = {}
    found = list[UnlearnBenchError]()
    for run in runs:
        other = first.setdefault(run.record.identity.edit_hash, run.path)
        found += [RefusedSubmission(f"{run.path}: the same run as {other}")] if other != run.path else []
    return found


def _other_items(runs: Sequence[Run]) -> list[UnlearnBenchError]:
    """Runs that were asked other items than the untouched model was: none may be left out, and none be added."""
    base = {
        (run.record.spec.model.weights_sha256, task): _asked(rows)
        for run in runs
        if run.record.spec.method.name == "none"
        for task, rows in run.rows.items()
    }
    found = list[UnlearnBenchError]()
    for run in runs:
        for one in run.record.tasks:
            theirs = base.get((run.record.spec.model.weights_sha256, one.spec_hash))
            mine = _asked(run.rows[one.spec_hash])
            if theirs is not None and mine != theirs:
                item = sorted(mine ^ theirs)[0]
                what = f"{run.path}: {one.spec.name} asks other items than `none` was asked, such as {item[1]!r}"
                found.append(RefusedSubmission(what[:400]))
    return found


def _asked(rows: Rows) -> set[tuple[str, str]]:
    """Where there are coordinates, methods may differ in how far an attack came."""
    return {(str(row["subset"]), str(row.get("item"))) for row in rows if not row.get("at")}


def _hint(where: str, model: type[Manifest]) -> str:
    return "" if where in model.model_fields else f"the fields are {', '.join(model.model_fields)}"
