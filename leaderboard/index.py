"""What was read and recomputed once need not be again, as long as no file of it has changed: a disposable index.

It holds of each run what a board needs, and lies in the cache (`$UNLEARNBENCH_CACHE`, or `~/.cache/unlearnbench`).
"""

from __future__ import annotations

import inspect
import os
import sqlite3
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

from unlearnbench.editing.moments import cache_folder
from unlearnbench.hashing import bytes_hash
from unlearnbench.leaderboard.reading import Reading, Unpacking, packed
from unlearnbench.model.source import ModelSource
from unlearnbench.records.record import Record

TABLES = """
create table if not exists runs (folder text primary key, key text not null, record text not null, rest text not null);
create table if not exists columns (digest text primary key, content text not null) without rowid;
"""


UNREADABLE = (ValueError, TypeError, KeyError, sqlite3.Error)
"""What an entry may cause, whatever wrote it: the run is read again, and the entry written anew."""


class Index:
    """Readings by folder. Whatever is wrong with the file, reading goes on without it."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = cache_folder() / "board.sqlite" if path is None else path
        self._connection: sqlite3.Connection | None = None
        self._new: list[tuple[str, str, str, str]] = []
        self._columns: dict[str, str] = {}
        self._unpacking = Unpacking(self._column)

    def __enter__(self) -> Self:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(self.path, timeout=5)
            self._connection.executescript(TABLES)
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
                self._connection.executemany("insert or replace into columns values (?, ?)", self._columns.items())
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
            known = found is not None and found[0] == stamp_of(folder)
            return self._unpacking.reading(*found[1:]) if known else None
        except UNREADABLE:
            return None

    def put(self, folder: Path, stamp: str, reading: Reading) -> None:
        """Keep what was read; `stamp` is that of before reading."""
        kept = packed(reading)
        self._new.append((_name(folder), stamp, kept.record, kept.rest))
        self._columns.update(kept.columns)

    def _column(self, digest: str) -> str:
        """Raises `KeyError` where it is not there."""
        if digest in self._columns:
            return self._columns[digest]
        assert self._connection is not None
        found = self._connection.execute("select content from columns where digest = ?", (digest,)).fetchone()
        if found is None:
            raise KeyError(digest)
        return str(found[0])

    def _give_up(self, error: Exception) -> None:
        """Go on without; what is broken is removed, what another process is writing is not."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        if "locked" not in str(error):
            with suppress(OSError):
                self.path.unlink()


def _name(folder: Path) -> str:
    return str(folder.absolute())  # a link to it is another name: `resolve` asks the disk for every part of it


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
