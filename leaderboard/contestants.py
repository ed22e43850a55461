"""Which runs a word means: a label of the table (or a method's name), a folder of runs, or a saved model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from unlearnbench.errors import UnknownName, UsageError
from unlearnbench.leaderboard.comparing import Contestant
from unlearnbench.records import store
from unlearnbench.records.record import Record

Found = list[tuple[Path, Record]]
"""Folders, and their records."""


class Entered(NamedTuple):
    """A contestant, and the folder of each of its records by the record's hash."""

    contestant: Contestant
    folders: Mapping[str, Path]


def contestants(words: Sequence[str], results: Path, facts: str | None) -> list[Entered]:
    """Those that the words mean. Labels are looked up among the records below `results`, which are read once."""
    table = cache(lambda: _below(results))
    return [_contestant(word, table, facts) for word in words]


def _contestant(word: str, table: Callable[[], Found], facts: str | None) -> Entered:
    """The valid runs that a word means, the latest of each seed.

    Raises `UsageError` where there are none, or runs of several methods or on several fact sets.
    """
    path = Path(word)
    if (path / "config.json").is_file() and (path.parent / store.RESULT).is_file():
        path = path.parent  # a saved model, beside its record
    records = store.records(path) if path.is_dir() else _labelled(word, table())
    valid = [(f, one) for f, one in records if one.status == "completed" and facts in (None, one.spec.facts.label)]
    if not valid:
        raise UsageError(f"there is no valid run of {word!r}{f' on {facts}' if facts else ''}")
    labels = sorted({f"{one.label} on {one.spec.facts.label}, {one.spec.model.name}" for _, one in valid})
    if len(labels) > 1:
        raise UsageError(f"{word!r} means several: {'; '.join(labels)}", "say --facts, or a folder of one of them")
    latest = sorted(valid, key=lambda found: found[1].sessions[0].created_at)
    runs = {one.spec.seed: one for _, one in latest}
    return Entered(Contestant(latest[-1][1].label, runs), {one.identity.record_hash: folder for folder, one in latest})


def _below(results: Path) -> Found:
    if not results.is_dir():
        raise UsageError(f"there is no results folder {results}", "say --results FOLDER")
    return store.records(results)


def _labelled(label: str, found: Found) -> Found:
    mine = [(folder, one) for folder, one in found if one.label == label]
    if not mine:  # a name alone, where it has one label: several are refused by the caller, which lists them
        mine = [(folder, one) for folder, one in found if one.spec.method.name == label]
    if not mine:
        raise UnknownName("method", label, {one.label for _, one in found})
    return mine
