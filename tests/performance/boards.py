"""How long a board takes: runs read and recomputed, by the index, and as plain JSON; and all that is made of them.

`python tests/performance/boards.py [RUNS]`; a run is one of the committed ones, copied, and of another model each time
round. Only as many as are committed are read without the index.
"""

import gzip
import json
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from unlearnbench.leaderboard.board import Board
from unlearnbench.leaderboard.document import document
from unlearnbench.leaderboard.entries import Entry, read
from unlearnbench.leaderboard.index import Index, stamp_of
from unlearnbench.leaderboard.page.contents import contents
from unlearnbench.leaderboard.page.html import page
from unlearnbench.leaderboard.reading import Reading
from unlearnbench.records import store
from unlearnbench.records.record import Record

RUNS = 540
BOARD = Path(__file__).parents[2] / "results" / "core-v1"


def compare(count: int = RUNS) -> list[dict[str, Any]]:
    """Seconds by each way, and runs in a second."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, index = Path(scratch) / "runs", Path(scratch) / "board.sqlite"
        found, ways = list[Any](), list[dict[str, Any]]()

        def timed(way: str, do: Callable[[], Any], of: int = count) -> None:
            start = time.perf_counter()
            found.append(do())
            seconds = time.perf_counter() - start
            ways.append({"way": way, "runs": of, "seconds": seconds, "in a second": of / seconds})

        originals = store.result_files(BOARD)
        timed("plain JSON, unchecked", lambda: [plain(path) for path in originals], len(originals))
        timed("records alone, schema checked", lambda: [schema(path) for path in originals], len(originals))
        found.clear()
        timed("read and recomputed", lambda: read([BOARD]).entries, len(originals))
        fill(index, folder, found.pop(), count)
        with Index(index) as kept:
            timed("by the index", lambda: read([folder], index=kept).entries)
        timed("rows and their order", lambda: Board.of(found[0]))
        assert len(found[0]) == count
        timed("document", lambda: document(found[1], ["runs"], Path("x.md")))
        timed("page", lambda: page(contents(found[1], ["runs"], Path("x.html"))))
        return ways


def fill(index: Path, folder: Path, entries: Sequence[Entry], count: int) -> None:
    """So many runs, and an index that knows them."""
    with Index(index) as kept:
        for number in range(count):
            turn, at = divmod(number, len(entries))
            one, run = entries[at], folder / f"run-{number}"
            shutil.copytree(one.path, run)
            spec, identity = one.record.spec, one.record.identity
            model = spec.model.model_copy(update={"name": f"model-{turn}"})
            renamed = {"edit_hash": f"{identity.edit_hash}-{turn}", "record_hash": f"{identity.record_hash}-{turn}"}
            record = one.record.model_copy(
                update={
                    "spec": spec.model_copy(update={"model": model}),
                    "identity": identity.model_copy(update=renamed),
                }
            )
            kept.put(run, stamp_of(run), Reading(record, one.attacks, one.answers, one.asked))


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


if __name__ == "__main__":
    for line in compare(int(sys.argv[1]) if len(sys.argv) > 1 else RUNS):
        print(f"{line['way']:32} {line['runs']:6} {line['seconds']:8.2f} s {line['in a second']:8.0f} runs/s")
    print(f"memory at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB")
