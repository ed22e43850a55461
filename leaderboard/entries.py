"""What a board is made of: runs that were read and recomputed; those that came with a submission bear its name."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from unlearnbench.errors import TamperedRecord, UnlearnBenchError, UsageError
from unlearnbench.leaderboard.asked import asked_of, same_questions
from unlearnbench.leaderboard.evidence import Answered, answers
from unlearnbench.leaderboard.index import Index, stamp_of
from unlearnbench.leaderboard.reading import Reading
from unlearnbench.leaderboard.standings import REFERENCES, Setting, grouped, labelled
from unlearnbench.leaderboard.submissions.inventory import MANIFEST, VERIFIED
from unlearnbench.leaderboard.submissions.levels import Verified, verified_of
from unlearnbench.leaderboard.submissions.manifest import Manifest
from unlearnbench.records import store
from unlearnbench.records.any_attack import Found, attacks_of
from unlearnbench.records.checked import Level
from unlearnbench.records.record import Record

Progress = Callable[[Sequence[Path]], Iterable[Path]]
UNEXPECTED = (ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError)
"""What an item log may cause that is of another shape."""


class Home(NamedTuple):
    """The submission that a run lies in."""

    manifest: Manifest
    verified: Verified | None


@dataclass(frozen=True)
class Entry:
    """One run."""

    path: Path
    """Its folder."""
    record: Record
    """Of a submission: with the submission's name in its label and among the inputs of its method, so that no row is
    made of runs from two hands."""
    attacks: Mapping[str, Found]
    """What each attack came to, …"""
    answers: Mapping[str, Answered]
    """… and what its tasks say for the score."""
    asked: Mapping[str, str]
    """Digests of what it was asked, by task."""
    level: Level
    """How far it was checked: building a board recomputes all."""
    submission: Manifest | None
    """That it came with; None for a run of the board's own."""
    unranked: str | None = None
    """Why it is shown and not ranked."""

    @property
    def key(self) -> str:
        """What no two runs of a board share."""
        return self.record.identity.record_hash


class Read(NamedTuple):
    """What was read below some folders."""

    entries: list[Entry]
    bad: list[UnlearnBenchError]
    """What is wrong with what could not be read."""
    notes: list[str]
    """What does not count, and why."""


def read(folders: Sequence[Path], progress: Progress = iter, index: Index | None = None) -> Read:
    """Every run below the folders, each edit once.

    A run of a submission is compared with what the board's own `none` was asked; where the board has none of that
    model, facts and seed, it is shown and not ranked. With an index, only what has changed is read and recomputed
    anew. Raises `UsageError` for a folder that is not there.
    """
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"there is no results folder {folder}", "run something first, or name the folder")
    found, homes = Read([], [], []), dict[Path, Home | None]()
    with _nothing_collected():
        for path in progress(list(_once(folders))):
            try:
                reading, home = _reading(path.parent, index), _home(path.parent, homes)
            except UnlearnBenchError as error:
                found.bad.append(error)
                continue
            found.entries.append(_entry(path.parent, reading, home))
    gone = {name for home in homes.values() if home and home.verified for name in home.verified.supersedes}
    return _judged(found, gone)


def _once(folders: Sequence[Path]) -> Iterator[Path]:
    """The records below the folders, of which one may lie in another."""
    seen = set[Path]()
    for folder in folders:
        whole = folder.resolve()
        for path in store.result_files(folder):
            place = whole / path.relative_to(folder)
            if place not in seen:
                seen.add(place)
                yield path


def rows(entries: Sequence[Entry]) -> dict[tuple[Setting, str], list[Entry]]:
    """The runs of each row of a board, by its setting and its label; the latest last."""
    by_key = {one.key: one for one in entries}
    groups = grouped(one.record for one in entries)
    labels = labelled(groups)
    return {(key[0], labels[key]): [by_key[one.identity.record_hash] for one in mine] for key, mine in groups.items()}


def _reading(folder: Path, index: Index | None) -> Reading:
    known = index.get(folder) if index is not None else None
    if known is not None:
        return known
    stamp = stamp_of(folder)  # of before: what is written meanwhile is read again next time
    record, rows = store.load_recomputed(folder)
    try:
        _ = record.sessions[0].created_at
        found = Reading(record, attacks_of(record, rows), answers(record, rows), asked_of(record, rows))
    except UNEXPECTED as error:
        what = f"{folder}: an item log is none of ours: {type(error).__name__} {error}"
        raise TamperedRecord(what, "repeat the run") from None
    if index is not None:
        index.put(folder, stamp, found)
    return found


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """All that is read is kept: to look for garbage among it, again and again, takes half of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _home(folder: Path, known: dict[Path, Home | None]) -> Home | None:
    """The submission that a run lies in."""
    if folder not in known:
        path, above = folder / MANIFEST, folder.parent
        if path.is_file():
            try:
                manifest = Manifest.model_validate_json(path.read_bytes())
            except (ValidationError, OSError) as error:
                raise TamperedRecord(f"{path} cannot be read: {str(error).splitlines()[0]}") from None
            known[folder] = Home(manifest, verified_of(folder) if (folder / VERIFIED).is_file() else None)
        else:
            known[folder] = None if above == folder else _home(above, known)
    return known[folder]


def _entry(path: Path, reading: Reading, home: Home | None) -> Entry:
    record = reading.record
    if home is None:
        return Entry(path, *reading, "recomputed", None)
    level = home.verified.runs.get(record.identity.record_hash, "recomputed") if home.verified else "recomputed"
    method = record.spec.method
    named = method.model_copy(update={"inputs": {**method.inputs, "submission": home.manifest.name}})
    spec = record.spec.model_copy(update={"method": named})
    # A copy of somebody else's record is another entry.
    key = f"{record.identity.record_hash} of {home.manifest.name}"
    identity = record.identity.model_copy(update={"record_hash": key})
    label = f"{record.label} · {home.manifest.name}"
    record = record.model_copy(update={"label": label, "spec": spec, "identity": identity})
    return Entry(path, *reading._replace(record=record), level, home.manifest)


def _judged(found: Read, gone: set[str]) -> Read:
    """Without what is there twice, with what is no entry among the notes, and with why some are not ranked."""
    own = {
        same_questions(one.record): one.asked
        for one in found.entries
        if one.submission is None and one.record.spec.method.name == "none"
    }
    kept, first = list[Entry](), dict[tuple[str, str], Path]()
    for one in found.entries:
        origin = one.submission.name if one.submission else ""
        other = first.setdefault((origin, one.record.identity.edit_hash), one.path)
        if other != one.path:
            found.notes.append(f"{one.path} is the same run as {other}, which counts")
            continue
        if one.submission is None:
            kept.append(one)
            continue
        base = own.get(same_questions(one.record))
        if base is not None and one.record.spec.method.name in REFERENCES:
            found.notes.append(f"{one.path}: the board has runs of its own of {one.record.spec.method.name}")
            continue
        others = sorted(
            key for key, digest in one.asked.items() if base is not None and base.get(key, digest) != digest
        )
        if others:
            what = f"{one.path}: it was asked otherwise than the board's `none`, or is scored otherwise: {others[0]}"
            found.bad.append(TamperedRecord(what, "`unlearnbench submit verify` says in what"))
            continue
        kept.append(_with_reason(one, known=base is not None, superseded=origin in gone))
    return found._replace(entries=kept)


def _with_reason(one: Entry, *, known: bool, superseded: bool) -> Entry:
    if not known:  # a table of its own: nothing in it is read against the board's
        facts = one.record.spec.facts
        told = facts.model_copy(
            update={"settings": {**facts.settings, "submitted as": str(one.submission and one.submission.name)}}
        )
        record = one.record.model_copy(update={"spec": one.record.spec.model_copy(update={"facts": told})})
        return replace(one, record=record, unranked="the board has no `none` of this model, these facts and this seed")
    return replace(one, unranked="superseded") if superseded else one
