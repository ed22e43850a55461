"""How long a board takes: 2,000 runs read and recomputed, read by the index, and read as plain JSON.

`python tests/performance/boards.py [RUNS]`; a run is one of the committed ones, copied.
"""

import gzip
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from unlearnbench.leaderboard.entries import read
from unlearnbench.leaderboard.index import Index
from unlearnbench.records import store
from unlearnbench.records.record import Record

RUNS = 500
BOARD = Path(__file__).parents[2] / "results" / "core-v1"


def compare(count: int = RUNS) -> list[dict[str, Any]]:
    """Seconds for so many runs by each way, and runs in a second."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = copies(Path(scratch) / "runs", count)
        index = Path(scratch) / "board.sqlite"

        def by_index() -> None:
            with Index(index) as kept:
                assert not read([folder], index=kept).bad

        by_index()  # makes it
        ways: dict[str, Callable[[], object]] = {
            "read and recomputed": lambda: read([folder]),
            "by the index": by_index,
            "plain JSON, unchecked": lambda: [plain(path) for path in store.result_files(folder)],
            "records alone, schema checked": lambda: [schema(path) for path in store.result_files(folder)],
        }
        return [{"way": way, "runs": count, **_timed(do, count)} for way, do in ways.items()]


def copies(folder: Path, count: int) -> Path:
    """So many runs."""
    originals = [path.parent for path in store.result_files(BOARD)]
    for number in range(count):
        shutil.copytree(originals[number % len(originals)], folder / f"run-{number}")
    return folder


def plain(path: Path) -> int:
    """What a script without any check would do: parse the record and its item logs."""
    record = json.loads(path.read_bytes())
    rows = [
        json.loads(line)
        for one in record["tasks"]
        for line in gzip.decompress((path.parent / one["samples"]["path"]).read_bytes()).splitlines()
    ]
    return len(rows)


def schema(path: Path) -> Record:
    """The record alone, by the schema."""
    return Record.model_validate_json(path.read_bytes())


def _timed(do: Callable[[], object], count: int) -> dict[str, float]:
    start = time.perf_counter()
    do()
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "in a second": count / seconds}


if __name__ == "__main__":
    for line in compare(int(sys.argv[1]) if len(sys.argv) > 1 else RUNS):
        print(f"{line['way']:32} {line['seconds']:8.2f} s {line['in a second']:8.0f} runs/s")
