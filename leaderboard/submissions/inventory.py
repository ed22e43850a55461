"""The files of a submission: their names, kinds and sizes, looked at before any of them is opened."""

from __future__ import annotations

import os
import re
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from unlearnbench.errors import RefusedSubmission, UsageError
from unlearnbench.records.store import RESULT
from unlearnbench.running.kept import EDIT

MANIFEST, WEIGHTS, VERIFIED = "submission.json", EDIT, "verified.json"
LOG = ".jsonl.gz"
MOST_FILES = 20_000
DEEPEST = 8
MIB = 2**20
LIMITS = {RESULT: 4 * MIB, MANIFEST: 16 * MIB, LOG: 32 * MIB, WEIGHTS: 4096 * MIB, VERIFIED: MIB}
"""Bytes on disk, by name or ending."""
LARGEST_LOG = 64 * MIB
HIGHEST_RATIO = 200
"""Of bytes after inflating to before: item logs come to about twelve."""
LARGEST_LOGS = 256 * MIB
"""All logs of a run, inflated: they are in memory together."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}")


class Found(NamedTuple):
    """A file of a submission."""

    path: str
    """From the submission's folder, with `/`."""
    size: int


def inventory(folder: Path) -> list[Found]:
    """Every file, by path. Raises `RefusedSubmission` for links, foreign names, and what is too large or too much."""
    if folder.is_symlink() or not folder.is_dir():
        raise UsageError(f"there is no submission folder {folder}", "`unlearnbench submit pack` makes one")
    found = list[Found]()
    for one in _walk(folder, "", 1):
        found.append(one)
        if len(found) > MOST_FILES:
            raise RefusedSubmission(f"{folder.name}: more than {MOST_FILES:,} files")
    folded: dict[str, str] = {}
    for one in found:
        other = folded.setdefault(one.path.casefold(), one.path)
        if other != one.path:
            raise RefusedSubmission(f"{one.path}: {other} is the same name where capitals do not count")
    return sorted(found)


def read(folder: Path, path: str) -> bytes:
    """A file that was found, of its limit at most; a link that has taken its place since is not followed."""
    try:
        with os.fdopen(os.open(folder / path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
            data = file.read(_limit(path) + 1)
    except OSError as error:
        raise RefusedSubmission(f"{path}: it cannot be read: {error.strerror}") from None
    if len(data) > _limit(path):
        raise RefusedSubmission(f"{path}: more than {_limit(path):,} bytes")
    return data


def inflated(data: bytes, said: int, where: str) -> bytes:
    """One gzip stream of exactly so many bytes; no more than that is ever inflated."""
    if said < 0 or said > min(LARGEST_LOG, HIGHEST_RATIO * max(len(data), 1)):
        raise RefusedSubmission(f"{where}: {len(data):,} bytes that are said to be {said:,}: it is not opened")
    stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        log = stream.decompress(data, said + 1)
    except zlib.error as error:
        raise RefusedSubmission(f"{where}: it is not gzip: {error}") from None
    if len(log) != said or not stream.eof or stream.unused_data:
        raise RefusedSubmission(f"{where}: it does not hold exactly the {said:,} bytes that its record says")
    return log


def _walk(folder: Path, below: str, depth: int) -> Iterator[Found]:
    for entry in sorted(os.scandir(folder), key=lambda one: one.name):
        path = f"{below}{entry.name}"
        shown = path.encode("unicode_escape").decode()
        if entry.is_symlink():
            raise RefusedSubmission(f"{shown}: a symbolic link", "put the file itself there")
        if not _NAME.fullmatch(entry.name):
            raise RefusedSubmission(f"{shown}: not a name of letters, digits, '.', '_' and '-'")
        if entry.is_dir(follow_symlinks=False):
            if depth >= DEEPEST:
                raise RefusedSubmission(f"{shown}: folders more than {DEEPEST} deep")
            yield from _walk(folder / entry.name, f"{path}/", depth + 1)
            continue
        status = entry.stat(follow_symlinks=False)
        if not stat.S_ISREG(status.st_mode):
            raise RefusedSubmission(f"{shown}: neither a file nor a folder")
        if status.st_size > _limit(path):
            raise RefusedSubmission(f"{shown}: {status.st_size:,} bytes, and {_limit(path):,} is the most")
        yield Found(path, status.st_size)


def _limit(path: str) -> int:
    name = path.rpartition("/")[2]
    top = "/" not in path
    allowed = {name: LIMITS[name]} if (name in (MANIFEST, VERIFIED) and top) or name in (RESULT, WEIGHTS) else {}
    limit = LIMITS[LOG] if name.endswith(LOG) else allowed.get(name)
    if limit is None:
        raise RefusedSubmission(
            f"{path.encode('unicode_escape').decode()}: not a file of a submission",
            f"there may be {MANIFEST}, and of each run {RESULT}, item logs (*{LOG}) and {WEIGHTS}",
        )
    return limit
