"""The command line's work as functions: `unlearnbench.run(...)` and `unlearnbench.load(...)`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from unlearnbench.errors import UnlearnBenchError
from unlearnbench.include import include as include_folder
from unlearnbench.records import store
from unlearnbench.records.record import Record
from unlearnbench.running.loop import missing, perform
from unlearnbench.running.order import Request, ordered


class _Silent:
    """Nobody is told how it goes."""

    def start(self, label: str) -> None:
        """A run begins."""

    def report(self, stage: str, done: int, of: int) -> None:
        """The current run is at `done` of `of` in this stage."""

    def finish(self, outcome: str) -> None:
        """The current run ended so."""


def run(
    *, methods: Sequence[str], facts: Sequence[str], tasks: Sequence[str], include: Sequence[Path] = (), **options: Any
) -> list[Record]:
    """Do what `unlearnbench run` does, and give back the records.

    `run(methods=["none"], facts=["sports:people-16"], tasks=["sports"])`; `options` are the other fields of
    `Request`. What is there already is not repeated. Raises `UnlearnBenchError` where a run failed; the others
    are done nevertheless.
    """
    for folder in include:
        include_folder(Path(folder))
    order = ordered(Request(methods=methods, facts=facts, tasks=tasks, **options))
    outcome = perform(order, missing(order), _Silent())
    if outcome.failures:
        raise UnlearnBenchError(f"{len(outcome.failures)} runs failed: {outcome.failures[0]}")
    return outcome.records


def load(path: Path | str) -> Record:
    """A record, its hashes checked: `load("results/scratch/…")` takes a run's folder or its `result.json`.

    Raises `UsageError` for a file that is no record, `TamperedRecord` where a hash does not match.
    """
    return store.load(Path(path))
