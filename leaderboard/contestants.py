"""Which runs a word means: a label of the table (or a method's name), a folder of runs, or a saved model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from unlearnbench.errors import UnknownName, UsageError
from unlearnbench.leaderboard.comparing import Contestant
from unlearnbench.leaderboard.standings import Groups, Setting, grouped, labelled
from unlearnbench.records import store
from unlearnbench.records.record import Record

Found = list[tuple[Path, Record]]
"""Folders, and their records."""
Key = tuple[Setting, str]
"""A row of a table: the setting, and the method."""


class Table(NamedTuple):
    """Rows by setting and method, what each is called, and the folders of all records by their hashes."""

    groups: Groups
    labels: Mapping[Key, str]
    folders: Mapping[str, Path]


class Entered(NamedTuple):
    """A contestant, and the folders of its records, among others, by their hashes."""

    contestant: Contestant
    folders: Mapping[str, Path]


def contestants(words: Sequence[str], results: Path, facts: str | None, model: str | None = None) -> list[Entered]:
    """Those that the words mean. Labels are looked up among the records below `results`, which are read once.

    `facts` and `model` are names, as in the table or without what tells versions apart.
    """
    below = cache(lambda: _table(_below(results)))
    return [_contestant(word, below, facts, model) for word in words]


def _contestant(word: str, below: Callable[[], Table], facts: str | None, model: str | None) -> Entered:
    """The valid runs that a word means, the latest of each seed.

    Raises `UsageError` where there are none, or those of several rows of a table, or of several tables.
    """
    path = Path(word)
    if (path / "config.json").is_file() and (path.parent / store.RESULT).is_file():
        path = path.parent  # a saved model, beside its record
    table = _table(store.records(path)) if path.is_dir() else below()
    groups, labels, folders = table
    meant = list(groups) if path.is_dir() else _labelled(word, table)
    rows = {
        key: valid
        for key in meant
        if facts in (None, key[0].facts, groups[key][-1].spec.facts.label)
        and model in (None, key[0].model, groups[key][-1].spec.model.name)
        and (valid := [one for one in groups[key] if one.status == "completed"])
    }
    if not rows:
        wanted = "".join(f" on {one}" for one in (facts, model) if one)
        raise UsageError(f"there is no valid run of {word!r}{wanted}")
    if len(rows) > 1:
        told = sorted(f"{labels[key]} on {key[0].facts}, {key[0].model}, {key[0].details}" for key in rows)
        raise UsageError(f"{word!r} means several: {'; '.join(told)}", "say --facts, --model, or a folder of one")
    ((key, latest),) = rows.items()
    return Entered(Contestant(labels[key], {one.spec.seed: one for one in latest}), folders)


def _below(results: Path) -> Found:
    if not results.is_dir():
        raise UsageError(f"there is no results folder {results}", "say --results FOLDER")
    return store.records(results)


def _table(records: Found) -> Table:
    groups = grouped(one for _, one in records)
    return Table(groups, labelled(groups), {one.identity.record_hash: folder for folder, one in records})


def _labelled(label: str, table: Table) -> list[Key]:
    """Rows of this label; else rows whose method is called so: several are refused by the caller, which lists them."""
    groups, labels, _ = table
    for name in (labels.__getitem__, lambda key: groups[key][-1].label, lambda key: groups[key][-1].spec.method.name):
        if mine := [key for key in groups if name(key) == label]:
            return mine
    raise UnknownName("method", label, set(labels.values()))
