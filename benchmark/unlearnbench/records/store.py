"""Records as files: one folder for each edit, with `result.json` and the item log of each task beside it.

Logs are written first and `result.json` last, each by an atomic replace: a task is done when, and only
when, the `result.json` that is there names it.
"""

import gzip
import io
import json
import os
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jsonlines
from pydantic import ValidationError

from unlearnbench.errors import TamperedRecord, UsageError
from unlearnbench.hashing import bytes_hash
from unlearnbench.records.provenance import benchmark_version
from unlearnbench.records.recompute import contradictions
from unlearnbench.records.record import SCHEMA_VERSION, Record, SamplesFile

RESULT = "result.json"
SIZE_LIMIT = 4 * 2**20


def item_log(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """The uncompressed item log."""
    text = io.StringIO()
    with jsonlines.Writer(text, compact=True, sort_keys=True) as writer:
        writer.write_all(rows)
    return text.getvalue().encode()


def described_log(slug: str, log: bytes) -> SamplesFile:
    """What a record says about an item log."""
    return SamplesFile(
        path=f"{slug}.jsonl.gz",
        sha256_uncompressed=bytes_hash(log),
        bytes_uncompressed=len(log),
        n=log.count(b"\n"),
    )


def save(record: Record, logs: Mapping[str, bytes], folder: Path) -> Path:
    """Commit a run: item logs (by file name) first, `result.json` last."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, log in logs.items():
        replace_file(folder / name, gzip.compress(log, mtime=0))
    path = folder / RESULT
    replace_file(path, (json.dumps(record.model_dump(mode="json"), indent=1, allow_nan=False) + "\n").encode())
    return path


def load(path: Path) -> Record:
    """Read a record and check its hashes, those of the item logs beside it included.

    Raises `UsageError` for a file that is no record, `TamperedRecord` where a hash does not match.
    """
    folder, record = _load_document(path)
    for one in record.tasks:
        load_log(folder, one.samples)
    return record


class Recomputed(NamedTuple):
    """A record whose metrics follow from its item logs, and these logs."""

    record: Record
    rows: Mapping[str, Sequence[dict[str, Any]]]
    """By the hash of the task."""


def load_recomputed(path: Path) -> Recomputed:
    """As `load`, and every metric is computed again from the item log; each log is read once."""
    folder, record = _load_document(path)
    rows = dict[str, Sequence[dict[str, Any]]]()
    for one in record.tasks:
        try:
            rows[one.spec_hash] = load_rows(folder, one.samples)
            wrong = contradictions(one, rows[one.spec_hash])
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            what = f"{folder}: the item log of {one.spec.name} is none of ours: {type(error).__name__} {error}"
            raise TamperedRecord(what, "repeat the run") from None
        if wrong:
            raise TamperedRecord(f"{folder}: {wrong[0]} does not follow from its item log", "repeat the run")
    return Recomputed(record, rows)


def _load_document(path: Path) -> tuple[Path, Record]:
    path = path / RESULT if path.is_dir() else path
    if not path.is_file():
        raise UsageError(f"there is no record {path}", "give a run's folder or its result.json")
    if path.stat().st_size > SIZE_LIMIT:
        raise UsageError(f"{path} is larger than {SIZE_LIMIT:,} bytes and cannot be a record")
    data = path.read_bytes()
    try:
        record = Record.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        if problem := schema_problem(_json_or_nothing(data)):
            raise UsageError(f"{path}: {problem[0]}", problem[1]) from None
        where = ".".join(map(str, first["loc"]))
        raise UsageError(f"{path} is not a record of schema {SCHEMA_VERSION}: {where}: {first['msg']}") from None
    problems = record.problems()
    if problems:
        raise TamperedRecord(
            f"{path} was changed after it was written: {', '.join(problems)} does not match its contents",
            "remove the folder and repeat the run",
        )
    return path.parent, record


def schema_problem(document: Any) -> tuple[str, str] | None:
    """What is wrong with a record's schema version, and what would read it; None where this release does."""
    said = document.get("schema_version") if isinstance(document, dict) else None
    if not isinstance(said, str) or said == SCHEMA_VERSION or not re.fullmatch(r"\d{1,4}(\.\d{1,4}){2}", said):
        return None
    newer = [int(n) for n in said.split(".")] > [int(n) for n in SCHEMA_VERSION.split(".")]
    hint = "update unlearnbench" if newer else "repeat the run with this release, or read it with the one that wrote it"
    return f"a record of schema {said}, and this release ({benchmark_version()}) reads {SCHEMA_VERSION}", hint


def _json_or_nothing(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def load_rows(folder: Path, samples: SamplesFile) -> Sequence[dict[str, Any]]:
    """The item log of a task; raises `TamperedRecord` where it is not the one that was recorded."""
    # As one array: one call of the parser takes half the time of one for each line.
    rows: list[dict[str, Any]] = json.loads(b"[" + b",".join(load_log(folder, samples).splitlines()) + b"]")
    return rows


def load_log(folder: Path, samples: SamplesFile) -> bytes:
    """The uncompressed item log, of the recorded size at the most; raises `TamperedRecord` as `load_rows` does."""
    path = folder / samples.path
    try:
        with gzip.open(path) as file:
            log = file.read(samples.bytes_uncompressed + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise TamperedRecord(f"the item log {path} cannot be read: {error}", "repeat the run") from None
    if bytes_hash(log) != samples.sha256_uncompressed:
        raise TamperedRecord(f"{path} is not the item log that {RESULT} describes", "repeat the run")
    return log


def result_files(folder: Path) -> list[Path]:
    """Every `result.json` below a folder, by path; folders behind symbolic links included, each once."""
    found, seen = list[Path](), set[Path]()
    for root, folders, files in os.walk(folder, followlinks=True):
        real = Path(root).resolve()
        folders[:] = [] if real in seen else sorted(name for name in folders if not name.startswith("."))
        if real not in seen and RESULT in files:
            found.append(Path(root) / RESULT)
        seen.add(real)
    return sorted(found)


def records(folder: Path) -> list[tuple[Path, Record]]:
    """All records below a folder, by path; raises at the first one that cannot be read."""
    return [(path.parent, load(path)) for path in result_files(folder)]


def replace_file(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old one or the new one, and nothing between."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
