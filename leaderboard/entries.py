"""What a board is made of: runs that were read, recomputed, and are not there twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from unlearnbench.errors import TamperedRecord, UnlearnBenchError, UsageError
from unlearnbench.leaderboard.evidence import Answered, answers
from unlearnbench.leaderboard.index import Index, Reading
from unlearnbench.leaderboard.submissions.inventory import MANIFEST
from unlearnbench.leaderboard.submissions.levels import Level, badges
from unlearnbench.leaderboard.submissions.manifest import Manifest
from unlearnbench.records import store
from unlearnbench.records.any_attack import Found, attacks_of
from unlearnbench.records.record import Record

Progress = Callable[[Sequence[Path]], Iterable[Path]]


@dataclass(frozen=True)
class Entry:
    """One run."""

    path: Path
    """Its folder."""
    record: Record
    attacks: Mapping[str, Found]
    """What each attack came to, …"""
    answers: Mapping[str, Answered]
    """… and what its tasks say for the score."""
    level: Level
    """How far it was checked: building a board recomputes all."""
    submission: Manifest | None
    """Of the submission that it came with; None for a run of the board's own."""
    superseded: bool = False
    """Whether a later submission takes the place of its own: it is shown and not ranked."""

    @property
    def key(self) -> str:
        """The record's hash."""
        return self.record.identity.record_hash


class Read(NamedTuple):
    """What was read below some folders."""

    entries: list[Entry]
    bad: list[UnlearnBenchError]
    """What is wrong with what could not be read."""
    twice: list[str]
    """Runs that are there already, in a sentence."""


def read(folders: Sequence[Path], progress: Progress = iter, index: Index | None = None) -> Read:
    """Every run below the folders. Of the same edit twice the first counts: a board's own runs come first.

    With an index, only what has changed is read and recomputed anew. Raises `UsageError` for a folder that is not
    there.
    """
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"there is no results folder {folder}", "run something first, or name the folder")
    found = Read([], [], [])
    paths = [path for folder in folders for path in store.result_files(folder)]
    levels, submissions, first = badges(folders), dict[Path, Manifest | None](), dict[str, Path]()
    for path in progress(paths):
        try:
            record, attacks, given = _reading(path.parent, index)
            home = _home(path.parent, submissions)
        except UnlearnBenchError as error:
            found.bad.append(error)
            continue
        other = first.setdefault(record.identity.edit_hash, path.parent)
        if other != path.parent:
            found.twice.append(f"{path.parent} is the same run as {other}, which counts")
            continue
        level = levels.get(record.identity.record_hash, "recomputed")
        found.entries.append(Entry(path.parent, record, attacks, given, level, home))
    return found._replace(entries=_superseded(found.entries))


def _reading(folder: Path, index: Index | None) -> Reading:
    known = index.get(folder) if index is not None else None
    if known is not None:
        return known
    key = Index.key(folder)  # of before: what is written meanwhile is read again next time
    record, rows = store.load_recomputed(folder)
    found = Reading(record, attacks_of(record, rows), answers(record, rows))
    if index is not None:
        index.put(folder, key, found)
    return found


def _home(folder: Path, known: dict[Path, Manifest | None]) -> Manifest | None:
    """The manifest of the submission that a run lies in."""
    if folder not in known:
        path = folder / MANIFEST
        above = folder.parent
        if path.is_file():
            try:
                known[folder] = Manifest.model_validate_json(path.read_bytes())
            except (ValidationError, OSError) as error:
                raise TamperedRecord(f"{path} cannot be read: {str(error).splitlines()[0]}") from None
        else:
            known[folder] = None if above == folder else _home(above, known)
    return known[folder]


def _superseded(entries: Sequence[Entry]) -> list[Entry]:
    gone = {name for one in entries if one.submission for name in one.submission.supersedes}
    return [
        replace(one, superseded=True) if one.submission is not None and one.submission.name in gone else one
        for one in entries
    ]
