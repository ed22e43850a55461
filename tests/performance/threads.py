"""Is a small model faster on one thread or on two? `python tests/performance/threads.py`

One edit of the embedded model (ten steps), on one thread and on two, in turn: with the machine to itself, and beside
a program that keeps one core busy. Only the ratio is worth quoting.
"""

import statistics
import subprocess
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from tabulate import tabulate

from unlearnbench.editing.place import EditingPlace
from unlearnbench.editing.retain import load_retain
from unlearnbench.model.loading import load
from unlearnbench.model.source import locate
from unlearnbench.running.threads import using_threads
from unlearnbench.running.words import parse_facts, parse_method

ROUNDS = 3


class Busy(AbstractContextManager[None]):
    """Within: another program keeps one core busy."""

    def __enter__(self) -> None:
        self._other = subprocess.Popen([sys.executable, "-c", "while True: pass"])

    def __exit__(self, *_: Any) -> None:
        self._other.kill()
        self._other.wait()


def compare() -> list[dict[str, Any]]:
    """Seconds on one thread and on two, and their ratio, median over rounds in turn."""
    located = locate("tiny", {}, None)
    model = load(located)
    facts = parse_facts("sports:people-64")
    seen = facts.split(0).for_methods()
    place = EditingPlace(facts.card, located.source, load_retain(model, "world", facts.split(0)), seed=0)
    method = parse_method("full_finetune[steps=10]").resolved(located.source)

    def seconds(threads: int) -> float:
        where = method.localize(model, seen, place)
        with using_threads(threads), model.restored(where.tensors):
            began = time.perf_counter()
            method.edit(model, seen, where, place)
            return time.perf_counter() - began

    lines = []
    for name, beside in (("alone", nullcontext()), ("beside one busy core", Busy())):
        with beside:
            found = [(seconds(1), seconds(2)) for _ in range(ROUNDS)]
        lines.append(
            {
                "machine": name,
                "1 thread, s": statistics.median(one for one, _ in found),
                "2 threads, s": statistics.median(two for _, two in found),
                "2 threads / 1 thread": statistics.median(two / one for one, two in found),
            }
        )
    return lines


if __name__ == "__main__":
    print(tabulate(compare(), headers="keys", floatfmt=".2f"))
