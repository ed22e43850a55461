"""From a file's bytes to its rows: parquet, JSON, JSON lines or CSV, gzipped or not.

The bytes decide, not the file's name: downloads get renamed, and some tools unpack them in passing.
"""

import csv
import gzip
import io
import json
import zlib
from typing import Any

GZIP, PARQUET, LFS_POINTER = b"\x1f\x8b", b"PAR1", b"version https://git-lfs"


class Damaged(Exception):
    """The bytes cannot be what they begin as; the text says why."""


def rows_in(data: bytes) -> list[Any]:
    """The rows of a file."""
    if data.startswith(GZIP):
        data = _unzipped(data)
    if data.startswith(PARQUET):
        return _parquet(data)
    if data.startswith(LFS_POINTER):
        raise Damaged("it is a pointer of Git LFS, not the file that it points to")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Damaged(f"it is neither parquet nor UTF-8 text: {error.reason} at byte {error.start:,}") from None
    match text.lstrip()[:1]:
        case "":
            raise Damaged("it is empty")
        case "[":
            return _json(text)
        case "{":
            return _json_lines(text)
        case "<":
            raise Damaged("it is a web page, not data")
    return _csv(text)


def _unzipped(data: bytes) -> bytes:
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise Damaged(f"gzip: {error}") from None


def _parquet(data: bytes) -> list[Any]:
    import pyarrow as pa  # type: ignore[import-untyped]
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    try:
        # On this thread alone: a program that ends while pyarrow's own threads still do is aborted (exit 134).
        table = pq.read_table(pa.BufferReader(data), use_threads=False, pre_buffer=False)
        rows: list[Any] = table.to_pylist()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise Damaged(f"parquet: {(str(error).splitlines() or ['it cannot be read'])[0]}") from None
    return rows


def _json(text: str) -> list[Any]:
    try:
        rows: list[Any] = json.loads(text)
    except ValueError as error:
        raise Damaged(f"JSON: {error}") from None
    return rows


def _json_lines(text: str) -> list[Any]:
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            rows += [json.loads(line)] if line.strip() else []
        except ValueError as error:
            raise Damaged(f"JSON lines, line {number}: {error}") from None
    return rows


def _csv(text: str) -> list[Any]:
    try:
        return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise Damaged(f"CSV: {error}") from None
