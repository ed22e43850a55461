"""The record of one run: a small JSON file that explains itself, and the item log beside it.

`samples.jsonl.gz` is written first and `result.json` last and atomically: a run is done when, and
only when, its `result.json` is there. The JSON Schema in `leaderboard/schema/` is generated from here.
"""

import gzip
import io
import json
import os
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import jsonlines
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from unlearnbench.errors import TamperedRecord, UsageError
from unlearnbench.hashing import bytes_hash, content_hash
from unlearnbench.records.spec import RunSpec

RESULT, SAMPLES = "result.json", "samples.jsonl.gz"
SCHEMA_VERSION: Literal["1.0.0"] = "1.0.0"
SIZE_LIMIT = 4 * 2**20


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class MetricResult(_Part):
    """One number, and what is needed to recompute it."""

    task: str
    name: str
    axis: Literal["forget", "retain", "robust", "general"]
    direction: Literal["min", "max"]
    primary: bool
    """Whether tables show it for its task."""
    value: float
    stderr: float | None
    """Cluster-robust; None with fewer than two clusters."""
    n: int
    n_clusters: int
    chance: float | None
    part: str
    """The rows it is a mean over …"""
    sample_field: str
    """… and the field of `values` that is averaged."""


class LocalizationResult(_Part):
    """Where the method was allowed to write, and where it wrote."""

    components: list[str]
    scores: dict[str, float]
    tensors: list[str]
    parameters: int
    share_of_blocks: float
    """Weights in the localization as a share of the weights in the blocks; above 1 with embeddings."""
    change_by_component: dict[str, float | None]
    """‖Δθ‖ per component, and of everything else under `other`; None where it is not finite."""
    change_inside: float | None
    change_outside: float
    """‖Δθ‖ outside the declared localization; anything but 0 is a defect."""


class WeightsResult(_Part):
    """Digests of the model in memory, before and after."""

    base_sha256: str
    edited_sha256: str
    parameters: int


class SamplesFile(_Part):
    """The item log, hashed before compression (gzip bytes vary)."""

    path: str = SAMPLES
    sha256_uncompressed: str
    bytes_uncompressed: int
    n: int


class Resources(_Part):
    """What the run cost."""

    stages_s: dict[str, float]
    """Wall time of load, localize, edit and each task."""
    peak_rss_bytes: int
    peak_vram_bytes: int | None
    flops_estimate: float
    """2 × parameters × tokens forward, and twice that backward."""


class Identity(_Part):
    """Three hashes: what was asked, what came out, and the whole document."""

    spec_hash: str
    result_hash: str
    """Over spec hash, metrics and item log: the same command must give the same one. No time, no host."""
    record_hash: str
    """Over everything but itself: shows any later edit."""


class Record(_Part):
    """One run."""

    schema_version: Literal["1.0.0"] = SCHEMA_VERSION
    status: Literal["completed", "invalid"]
    """`invalid`: it ran, but is no result (it collapsed, diverged or changed nothing) and is never ranked."""
    invalid_reason: str | None
    created_at: str
    benchmark_version: str
    label: str
    """The method's name, and the settings in which it departs from its defaults."""
    spec: RunSpec
    identity: Identity
    metrics: list[MetricResult]
    retain_loss: dict[str, float | None]
    """Next-token loss on held-out retain text, `before` and `after`; None where it is not finite."""
    localization: LocalizationResult
    weights: WeightsResult
    history: list[dict[str, float]]
    """One row per training step."""
    samples: SamplesFile
    seeds: dict[str, int]
    resources: Resources
    environment: dict[str, Any]
    git: dict[str, Any] | None
    """Commit and state of the source tree, where the package runs from one."""
    warnings: list[str] = Field(default_factory=list)

    def metric(self, task: str, name: str | None = None) -> MetricResult | None:
        """A task's metric by name, or its primary one; None where it was not asked."""
        found = (m for m in self.metrics if m.task == task and (m.primary if name is None else m.name == name))
        return next(found, None)

    def problems(self) -> list[str]:
        """Which of the three hashes do not match the contents; empty for an untouched record."""
        document = self.model_dump(mode="json")
        expected = {
            "spec_hash": self.spec.hash,
            "result_hash": result_hash(self.spec.hash, document["metrics"], self.samples.sha256_uncompressed),
            "record_hash": record_hash(document),
        }
        stated = self.identity.model_dump()
        return [name for name, value in expected.items() if stated[name] != value]


def result_hash(spec_hash: str, metrics: list[dict[str, Any]], samples_sha256: str) -> str:
    """The hash of what came out."""
    return content_hash({"spec_hash": spec_hash, "metrics": metrics, "samples": samples_sha256})


def record_hash(document: dict[str, Any]) -> str:
    """The hash of a whole record without its own `record_hash`."""
    identity = {k: v for k, v in document["identity"].items() if k != "record_hash"}
    return content_hash({**document, "identity": identity})


def item_log(rows: Iterable[dict[str, Any]]) -> bytes:
    """The uncompressed item log."""
    text = io.StringIO()
    with jsonlines.Writer(text, compact=True, sort_keys=True) as writer:
        writer.write_all(rows)
    return text.getvalue().encode()


def describe_samples(log: bytes) -> SamplesFile:
    """What a record says about its item log."""
    return SamplesFile(sha256_uncompressed=bytes_hash(log), bytes_uncompressed=len(log), n=log.count(b"\n"))


def save(record: Record, log: bytes, folder: Path) -> Path:
    """Commit a run: item log first, `result.json` last, each by an atomic replace."""
    folder.mkdir(parents=True, exist_ok=True)
    _replace(folder / SAMPLES, gzip.compress(log, mtime=0))
    path = folder / RESULT
    _replace(path, (json.dumps(record.model_dump(mode="json"), indent=1, allow_nan=False) + "\n").encode())
    return path


def load(path: Path) -> Record:
    """Read a record and check its hashes, that of the item log beside it included.

    Raises `UsageError` for a file that is no record, `TamperedRecord` where a hash does not match.
    """
    path = path / RESULT if path.is_dir() else path
    if not path.is_file():
        raise UsageError(f"there is no record {path}", "give a run's folder or its result.json")
    if path.stat().st_size > SIZE_LIMIT:
        raise UsageError(f"{path} is larger than {SIZE_LIMIT:,} bytes and cannot be a record")
    try:
        record = Record.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UsageError(f"{path} is not a record of schema {SCHEMA_VERSION}: {where}: {first['msg']}") from None
    problems = record.problems()
    if problems:
        raise TamperedRecord(
            f"{path} was changed after it was written: {', '.join(problems)} does not match its contents",
            "remove the folder and repeat the run",
        )
    load_log(path.parent, record)
    return record


def load_rows(folder: Path, record: Record) -> Sequence[dict[str, Any]]:
    """The item log of a run; raises `TamperedRecord` where it is not the one that was recorded."""
    with jsonlines.Reader(io.StringIO(load_log(folder, record).decode())) as reader:
        return list(reader)


def load_log(folder: Path, record: Record) -> bytes:
    """The uncompressed item log, of the recorded size at the most; raises `TamperedRecord` as `load_rows` does."""
    path = folder / SAMPLES
    try:
        with gzip.open(path) as file:
            log = file.read(record.samples.bytes_uncompressed + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise TamperedRecord(f"the item log {path} cannot be read: {error}", "repeat the run") from None
    if bytes_hash(log) != record.samples.sha256_uncompressed:
        raise TamperedRecord(f"{path} is not the item log that {RESULT} describes", "repeat the run")
    return log


def records(folder: Path) -> list[tuple[Path, Record]]:
    """All records below a folder, by path."""
    return [(path.parent, load(path)) for path in sorted(folder.rglob(RESULT))]


def _replace(path: Path, data: bytes) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
