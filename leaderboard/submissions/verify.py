"""The first two levels of checking: the files are what they say, and every number follows from the item logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from unlearnbench.errors import RefusedSubmission, UnlearnBenchError
from unlearnbench.hashing import file_hash
from unlearnbench.leaderboard.asked import asked_of, difference, same_questions, same_table
from unlearnbench.leaderboard.submissions.code import problems_of_code
from unlearnbench.leaderboard.submissions.hostile_json import parsed, validated
from unlearnbench.leaderboard.submissions.inventory import (
    MANIFEST,
    VERIFIED,
    Found,
    inventory,
    read,
)
from unlearnbench.leaderboard.submissions.manifest import Manifest
from unlearnbench.leaderboard.submissions.runs import Run, read_rows, read_run
from unlearnbench.records.any_attack import key_of
from unlearnbench.records.record import Record
from unlearnbench.records.store import RESULT, load_recomputed, result_files


@dataclass
class Checked:
    """A submission, and what is wrong with it."""

    manifest: Manifest
    runs: list[Run] = field(default_factory=list)
    problems: list[UnlearnBenchError] = field(default_factory=list)
    board: list[Record] = field(default_factory=list)
    """The board's own runs of `none` on the same models and facts."""


def checked(folder: Path, *, recompute: bool = True, board: Path | None = None, beside: Path | None = None) -> Checked:
    """All that can be said of a submission without running anything; `board` has the runs that it is to stand beside,
    `beside` (by default the folder that it is in) other submissions.

    Raises `RefusedSubmission` where nothing more can be looked at: a file that should not be there, no manifest, or
    one that lists other files. What is wrong with single runs is collected.
    """
    files = inventory(folder)
    found = Checked(_manifest(folder, files))
    for path in (one.path for one in files if one.path.endswith(f"/{RESULT}")):
        try:
            found.runs.append(read_run(folder, path.removesuffix(f"/{RESULT}"), files, recompute=recompute))
        except RefusedSubmission as error:
            found.problems.append(error)
    if not found.runs and not found.problems:
        raise RefusedSubmission(f"{folder.name}: there is no run in it", f"each is a folder with a {RESULT}")
    found.problems += _strays(files)
    found.problems += [problem for run in found.runs for problem in problems_of_code(run.path, run.record)]
    found.problems += _unknown(beside or folder.absolute().parent, found.manifest)
    if recompute:
        bases = _of_board(board, {same_table(run.record) for run in found.runs})
        found.board = [record for record, _ in bases]
        kept = {same_questions(record): path for record, path in bases}
        found.problems += _other_questions(folder, found.runs, kept)
    return found


def _manifest(folder: Path, files: Sequence[Found]) -> Manifest:
    if MANIFEST not in {one.path for one in files}:
        raise RefusedSubmission(f"{folder.name}: there is no {MANIFEST}", "`unlearnbench submit pack` writes it")
    data = read(folder, MANIFEST)
    parsed(data, MANIFEST)
    manifest = validated(data, MANIFEST, Manifest, name_fields=True)
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


def _strays(files: Sequence[Found]) -> list[UnlearnBenchError]:
    """Logs and weights beside no run."""
    folders = {_above(one.path) for one in files if one.path.endswith(f"/{RESULT}")}
    paths = (one.path for one in files if one.path not in (MANIFEST, VERIFIED))
    return [
        RefusedSubmission(f"{path}: it is in the folder of no run") for path in paths if _above(path) not in folders
    ]


def _above(path: str) -> str:
    return path.rpartition("/")[0]


def _unknown(beside: Path, manifest: Manifest) -> list[UnlearnBenchError]:
    """What it says to supersede, and is not beside it."""
    lost = [name for name in manifest.supersedes if not (beside / name / MANIFEST).is_file()]
    return [RefusedSubmission(f"{MANIFEST}: it supersedes {name!r}, which is not beside it") for name in lost]


def _other_questions(
    folder: Path, runs: Sequence[Run], kept: Mapping[tuple[str, str, int], Path]
) -> list[UnlearnBenchError]:
    """Runs that were asked other items than the untouched model, or are scored otherwise.

    The untouched model is the board's own, where it has one of the same model, facts and seed.
    """
    own = {same_questions(run.record): folder / run.path for run in runs if run.record.spec.method.name == "none"}
    found, read_against = list[UnlearnBenchError](), dict[Path, list[Run]]()
    for run in runs:
        base = kept.get(same_questions(run.record)) or own.get(same_questions(run.record))
        if base is None:
            what = f"{run.path}: there is no run of `none` on its model, facts and seed, neither here nor on the board"
            found.append(RefusedSubmission(what, "run it as well, with the same command"))
        elif base != folder / run.path:
            read_against.setdefault(base, []).append(run)
    for base, mine in read_against.items():
        found += _differences(folder, mine, base)
    return found


def _of_board(board: Path | None, wanted: set[tuple[str, str]]) -> list[tuple[Record, Path]]:
    """The board's own runs of `none`, and their folders."""
    found = list[tuple[Record, Path]]()
    for path in result_files(board) if board is not None else ():
        if path.parent.parent.name == "none":
            record = Record.model_validate_json(path.read_bytes())
            if same_table(record) in wanted and record.spec.method.name == "none":
                found.append((record, path.parent))
    return found


def _differences(folder: Path, runs: Sequence[Run], base: Path) -> list[UnlearnBenchError]:
    """Of all runs that are read against one, which is read once."""
    record, rows = load_recomputed(base)
    theirs, asked = {key_of(one.spec): one for one in record.tasks}, asked_of(record, rows)
    found = list[UnlearnBenchError]()
    for run in runs:
        for one in run.record.tasks:
            key = key_of(one.spec)
            if key in asked and asked[key] != run.asked[key]:
                mine = read_rows(folder, run.path, one)
                what = difference(one, mine, theirs[key], rows[theirs[key].spec_hash]) or "was asked otherwise"
                found.append(RefusedSubmission(f"{run.path}: {one.spec.name} {what}"))
    return found
