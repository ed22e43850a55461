"""A submission from runs: what a maintainer will check is checked before anything is written."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from unlearnbench.errors import MissingPrerequisite, UsageError
from unlearnbench.hashing import file_hash
from unlearnbench.leaderboard.submissions.inventory import MANIFEST, WEIGHTS, inventory
from unlearnbench.leaderboard.submissions.manifest import Manifest, SubmittedFile
from unlearnbench.leaderboard.submissions.verify import Checked, checked
from unlearnbench.records import store


def pack(
    manifest: Manifest, sources: Sequence[Path], above: Path, board: Path | None, *, with_weights: bool
) -> Checked:
    """Write `above/NAME/` from all runs below the sources, with edited weights where they were kept.

    `manifest` says everything but the files. Nothing is written where a problem is found: they are in what is returned.
    Raises `UsageError` where there is no run, or where the folder is there already.
    """
    target = above / manifest.name
    if target.exists():
        raise UsageError(f"{target} is there already", "submissions are only ever added: give another --name")
    runs = [path.parent for source in sources for path in _results(source)]
    if not runs:
        raise UsageError(f"there is no run below {', '.join(map(str, sources))}", "run something first")
    try:
        above.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".packing-", dir=above))
    except OSError as error:
        raise MissingPrerequisite(f"{above} cannot be written: {error.strerror}", "give another --output") from None
    try:
        part = scratch / manifest.name
        part.mkdir()
        for run in runs:
            _copy(run, part, with_weights=with_weights)
        _write(manifest, part)
        found = checked(part, board=board, beside=above)
        if not found.problems:
            part.rename(target)
        return found
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _results(source: Path) -> list[Path]:
    if not source.is_dir():
        raise UsageError(f"there is no folder {source}", "give folders of runs, or the one above them")
    return store.result_files(source)


def _copy(run: Path, part: Path, *, with_weights: bool) -> None:
    record = store.load(run)
    folder = part / record.spec.path
    if folder.exists():
        raise UsageError(f"{run}: the same run was given twice", "name the folder above it once")
    folder.mkdir(parents=True)
    names = [store.RESULT, *(one.samples.path for one in record.tasks)]
    if with_weights and record.weights.edited_sha256 != record.weights.base_sha256 and record.status == "completed":
        if not (run / WEIGHTS).is_file():
            raise UsageError(
                f"{run}: its edited weights were not kept", "run it with --keep_edits, or leave out --with_weights"
            )
        names.append(WEIGHTS)
    for name in names:
        shutil.copyfile(run / name, folder / name)


def _write(manifest: Manifest, part: Path) -> None:
    files = tuple(
        SubmittedFile(path=one.path, sha256=file_hash(part / one.path), size=one.size) for one in inventory(part)
    )
    whole = manifest.model_copy(update={"files": files}).model_dump(mode="json")
    text = json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False)
    store.replace_file(part / MANIFEST, f"{text}{os.linesep}".encode())
