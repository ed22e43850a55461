"""How far a result was checked, and by whom that was written down."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from unlearnbench.errors import RefusedSubmission
from unlearnbench.hashing import bytes_hash
from unlearnbench.leaderboard.submissions.hostile_json import parsed, validated
from unlearnbench.leaderboard.submissions.inventory import MANIFEST, VERIFIED, read
from unlearnbench.leaderboard.submissions.manifest import Digest
from unlearnbench.records.checked import LEVELS, Level
from unlearnbench.records.provenance import benchmark_version
from unlearnbench.records.spec import Frozen
from unlearnbench.records.store import replace_file


class Verified(Frozen):
    """What a maintainer checked of a submission; written by `submit verify --badge`, beside its manifest."""

    manifest_sha256: Digest
    """Of the submission that was checked."""
    benchmark_version: str
    checked_at: str
    runs: dict[str, Level]
    """By the record's hash."""
    supersedes: tuple[str, ...] = ()
    """The earlier submissions that it does take the place of: it may say so of any, and a maintainer confirms it."""


def verified_of(folder: Path) -> Verified:
    """What was checked of a submission."""
    data = read(folder, VERIFIED)
    parsed(data, VERIFIED)
    found = validated(data, VERIFIED, Verified)
    if found.manifest_sha256 != bytes_hash(read(folder, MANIFEST)):
        raise RefusedSubmission(f"{folder.name}/{VERIFIED}: what was verified is not what {MANIFEST} lists now")
    return found


def write(folder: Path, runs: Mapping[str, Level], supersedes: tuple[str, ...], today: str) -> None:
    """Keep what was checked beside the manifest; what was found of other runs before, or more surely, stays."""
    before = _before(folder)
    kept = {key: max(level, before.runs.get(key, level), key=LEVELS.index) for key, level in runs.items()}
    found = Verified(
        manifest_sha256=bytes_hash(read(folder, MANIFEST)),
        benchmark_version=benchmark_version(),
        checked_at=today,
        runs={**before.runs, **kept},
        supersedes=tuple(dict.fromkeys((*before.supersedes, *supersedes))),
    )
    replace_file(folder / VERIFIED, (found.model_dump_json(indent=1) + "\n").encode())


def _before(folder: Path) -> Verified:
    """What is there of the same files; nothing where they are others now."""
    nothing = Verified(manifest_sha256=bytes_hash(read(folder, MANIFEST)), benchmark_version="", checked_at="", runs={})
    try:
        return verified_of(folder) if (folder / VERIFIED).is_file() else nothing
    except RefusedSubmission:
        return nothing


def lowest(levels: Iterable[Level]) -> Level:
    """That of a row, which is no surer than its least sure run."""
    return min(levels, key=LEVELS.index, default="self-reported")
