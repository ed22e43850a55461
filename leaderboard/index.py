"""What was read and recomputed once need not be again, as long as no file of it has changed: a disposable index.

It holds of each run what a board needs, and lies in the cache (`$UNLEARNBENCH_CACHE`, or `~/.cache/unlearnbench`).
"""

from __future__ import annotations

import inspect
import json
import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from unlearnbench.editing.moments import cache_folder
from unlearnbench.hashing import bytes_hash
from unlearnbench.leaderboard.evidence import Answered, Items
from unlearnbench.leaderboard.page.curves import ANSWERED, NEVER
from unlearnbench.model.source import ModelSource
from unlearnbench.records.any_attack import Found, Item, Said
from unlearnbench.records.record import Record

TABLE = (
    "create table if not exists runs"
    " (folder text primary key, key text not null, record text not null, rest text not null)"
)


class Reading(NamedTuple):
    """A run, as a board needs it."""

    record: Record
    """Without history, localization scores and curves that no board shows."""
    attacks: Mapping[str, Found]
    answers: Mapping[str, Answered]
    asked: Mapping[str, str]
    """Digests of what it was asked, by task."""


class Index:
    """Readings by folder. Whatever is wrong with the file, reading goes on without it."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = cache_folder() / "board.sqlite" if path is None else path
        self._connection: sqlite3.Connection | None = None
        self._new: list[tuple[str, str, str, str]] = []

    def __enter__(self) -> Self:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(self.path, timeout=5)
            self._connection.execute(TABLE)
        except (sqlite3.Error, OSError) as error:
            self._give_up(error)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connection is None:
            return
        try:
            with closing(self._connection), self._connection:
                self._connection.executemany("insert or replace into runs values (?, ?, ?, ?)", self._new)
        except sqlite3.Error as error:
            self._give_up(error)

    def get(self, folder: Path) -> Reading | None:
        """What was read of a run, if every file of it is the one that was read, and the code is the one that read."""
        if self._connection is None:
            return None
        try:
            query = "select key, record, rest from runs where folder = ?"
            found = self._connection.execute(query, (_name(folder),)).fetchone()
        except sqlite3.Error as error:
            self._give_up(error)
            return None
        try:
            return _reading(*found[1:]) if found is not None and found[0] == stamp_of(folder) else None
        except (ValueError, TypeError, KeyError):  # whatever wrote it: it is read again, and written anew
            return None

    def put(self, folder: Path, stamp: str, reading: Reading) -> None:
        """Keep what was read; `stamp` is that of before reading."""
        rest = json.dumps(_content(reading), separators=(",", ":"))
        self._new.append((_name(folder), stamp, _slim(reading.record).model_dump_json(exclude_defaults=True), rest))

    def _give_up(self, error: Exception) -> None:
        """Go on without; what is broken is removed, what another process is writing is not."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        if "locked" not in str(error):
            with suppress(OSError):
                self.path.unlink()


def _name(folder: Path) -> str:
    return str(folder.resolve())


def stamp_of(folder: Path) -> str:
    """What changes with any file of a run, or with the code that reads it.

    Of every file its size and times, that of the last change of the inode too, which cannot be set.
    """
    with os.scandir(folder) as files:
        found = sorted((one.name, *_stamp(one)) for one in files if one.is_file())
    return bytes_hash(repr((_code(), found)).encode())


def _stamp(one: os.DirEntry[str]) -> tuple[int, ...]:
    status = one.stat()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


@cache
def _code() -> str:
    """Of everything that a reading may depend on."""
    folders = Path(__file__).parent, Path(inspect.getfile(Record)).parent
    files = [path for folder in folders for path in sorted(folder.rglob("*.py"))] + [Path(inspect.getfile(ModelSource))]
    return bytes_hash(b"".join(path.read_bytes() for path in files))


def _content(one: Reading) -> Any:
    return [
        {
            key: [[*item, said.truth, said.target, said.credits] for item, said in found.items()]
            for key, found in one.attacks.items()
        },
        {
            key: [a.axis, _columns(a.values), a.chance, _columns(a.ceiling), _floor(a.floor)]
            for key, a in one.answers.items()
        },
        dict(one.asked),
    ]


def _slim(record: Record) -> Record:
    shown = (ANSWERED, NEVER)
    tasks = [
        one.model_copy(update={"metrics": [m for m in one.metrics if not m.at or m.name in shown]})
        for one in record.tasks
    ]
    where = record.localization.model_copy(update={"scores": {}, "tensors": [], "change_by_component": {}})
    sessions = [one.model_copy(update={"environment": {}}) for one in record.sessions]
    return record.model_copy(update={"tasks": tasks, "localization": where, "history": [], "sessions": sessions})


def _columns(items: Items) -> Any:
    return [[subject for subject, _ in items], [value for _, value in items]]


def _floor(floor: Items | float) -> Any:
    return floor if isinstance(floor, float) else _columns(floor)


def _reading(record: str, rest: str) -> Reading:
    attacks, answers, asked = json.loads(rest)
    return Reading(
        Record.model_validate_json(record),
        {
            key: {
                Item(s, name, cluster): Said(truth, target, credits)
                for s, name, cluster, truth, target, credits in found
            }
            for key, found in attacks.items()
        },
        {
            key: Answered(
                axis, _items(values), chance, _items(ceiling), floor if isinstance(floor, float) else _items(floor)
            )
            for key, (axis, values, chance, ceiling, floor) in answers.items()
        },
        asked,
    )


def _items(columns: Any) -> Items:
    return tuple(zip(*columns, strict=True))
