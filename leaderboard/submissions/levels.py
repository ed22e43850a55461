"""How far a result was checked, and by whom that was written down."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from unlearnbench.errors import RefusedSubmission
from unlearnbench.hashing import bytes_hash
from unlearnbench.leaderboard.submissions.hostile_json import parsed
from unlearnbench.leaderboard.submissions.inventory import MANIFEST, VERIFIED, read
from unlearnbench.leaderboard.submissions.manifest import Digest
from unlearnbench.records.provenance import benchmark_version
from unlearnbench.records.spec import Frozen
from unlearnbench.records.store import replace_file

Level = Literal["self-reported", "recomputed", "replayed", "reproduced"]
LEVELS: tuple[Level, ...] = ("self-reported", "recomputed", "replayed", "reproduced")
"""In order: the files are what they say · every number follows from the item logs · the edited weights were asked
again and say the same · the run was repeated from its specification to the same result hash."""


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
    try:
        found = Verified.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        raise RefusedSubmission(f"{VERIFIED}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    if found.manifest_sha256 != bytes_hash(read(folder, MANIFEST)):
        raise RefusedSubmission(f"{folder.name}/{VERIFIED}: what was verified is not what {MANIFEST} lists now")
    return found


def write(folder: Path, runs: Mapping[str, Level], supersedes: tuple[str, ...], today: str) -> None:
    """Keep what was checked beside the manifest."""
    found = Verified(
        manifest_sha256=bytes_hash(read(folder, MANIFEST)),
        benchmark_version=benchmark_version(),
        checked_at=today,
        runs=dict(runs),
        supersedes=supersedes,
    )
    replace_file(folder / VERIFIED, (found.model_dump_json(indent=1) + "\n").encode())


def lowest(levels: Iterable[Level]) -> Level:
    """That of a row, which is no surer than its least sure run."""
    return min(levels, key=LEVELS.index, default="self-reported")
