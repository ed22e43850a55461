"""The loop over runs, and what happens when one fails: the others still run."""

from __future__ import annotations

import errno
import os
import tempfile
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from unlearnbench.errors import MissingPrerequisite, TamperedRecord, UnlearnBenchError, UsageError
from unlearnbench.records import store
from unlearnbench.records.any_attack import Found, attacks_of
from unlearnbench.records.record import Record
from unlearnbench.running.claim import claimed
from unlearnbench.running.order import Order
from unlearnbench.running.plan import Cell
from unlearnbench.running.runner import Runner, is_done, kept_record
from unlearnbench.running.saved import is_saved
from unlearnbench.running.threads import using_threads


class Watcher(Protocol):
    """Who is told how it goes."""

    def start(self, label: str) -> None: ...

    def report(self, stage: str, done: int, of: int) -> None: ...

    def finish(self, outcome: str) -> None: ...


@dataclass
class Outcome:
    """What became of an order."""

    records: list[Record] = field(default_factory=list)
    attacks: dict[str, dict[str, Found]] = field(default_factory=dict)
    """What each attack of each record came to, by the record's hash and task."""
    failures: list[str] = field(default_factory=list)
    """One line for each run that failed."""


def missing(order: Order) -> list[Cell]:
    """The cells that can be done here and are not; damaged records count as not done."""
    able = [cell for cell in order.cells if cell.skipped is None]
    return [cell for cell in able if not settled(order, cell)]


def settled(order: Order, cell: Cell) -> bool:
    """Whether a cell's record is there with all that was asked, and its model where that is wanted."""
    folder = order.folder(cell)
    record = found_record(cell, folder)
    unsaved = order.request.save_model and not is_saved(folder) and record is not None and record.status != "invalid"
    return is_done(cell, record) and not unsaved


def found_record(cell: Cell, folder: Path) -> Record | None:
    """The cell's record where it is there and whole, or None."""
    try:
        return kept_record(cell, folder)
    except (TamperedRecord, UsageError):
        return None


def perform(order: Order, todo: Sequence[Cell], watcher: Watcher, *, debug: bool = False) -> Outcome:
    """Do the missing cells, and give back the records of all.

    A run that another command is at is left to it, and waited for at the end. Raises `MissingPrerequisite`
    where the model cannot be loaded or the results cannot be written.
    """
    outcome = Outcome()
    if todo:
        check_writable(order.output)
        request = order.request
        runner = Runner(
            order.located,
            request.device,
            threads=request.threads,
            keep_edits=request.keep_edits,
            save_models=request.save_model,
        )
        with using_threads():
            runner.prepare(todo[0].split)
            others = [cell for cell in todo if not _attempt(order, runner, cell, watcher, outcome, debug, wait=False)]
            for cell in others:
                _attempt(order, runner, cell, watcher, outcome, debug, wait=True)
    able = (cell for cell in order.cells if cell.skipped is None)
    for folder in (order.folder(cell) for cell in able):
        if (folder / store.RESULT).exists():
            try:
                record, rows = store.load_recomputed(folder)
                outcome.attacks[record.identity.record_hash] = attacks_of(record, rows)
                outcome.records.append(record)
            except UnlearnBenchError as error:  # it was whole when it was written
                outcome.failures.append(str(error))
    return outcome


def _attempt(
    order: Order, runner: Runner, cell: Cell, watcher: Watcher, outcome: Outcome, debug: bool, *, wait: bool
) -> bool:
    """Whether this cell is settled: done, failed or found done. It is not where another command is at it."""
    folder = order.folder(cell)
    with claimed(order.output, folder.name, wait=wait) as ours:
        if not ours:
            return False
        watcher.start(cell.label)
        if settled(order, cell):
            watcher.finish("done by another command")
            return True
        set_aside(cell, folder)
        try:
            record = runner.run(cell, folder, watcher.report)
        except MissingPrerequisite:
            raise
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO):
                _failed(cell, error, watcher, outcome, debug)
                return True
            what = f"{cell.label} could not be written: {error}"
            raise UnlearnBenchError(what, "make room, then repeat the command") from error
        except (Exception, SystemExit) as error:  # somebody's method or task: the others still run
            _failed(cell, error, watcher, outcome, debug)
            return True
        watcher.finish(record.invalid_reason or "done")
        return True


def _failed(cell: Cell, error: BaseException, watcher: Watcher, outcome: Outcome, debug: bool) -> None:
    if debug:
        traceback.print_exception(error)
    known = isinstance(error, UnlearnBenchError)
    kind = "the method or a task ends the program: sys.exit" if isinstance(error, SystemExit) else type(error).__name__
    text = f"{error}" if known else f"{kind}: {error}"
    hint = f"; {error.hint}" if isinstance(error, UnlearnBenchError) and error.hint else ""
    outcome.failures.append(f"{cell.label}: {text}{hint}")
    watcher.finish(f"FAILED {text}{hint}")


def set_aside(cell: Cell, folder: Path) -> None:
    """A record that cannot be read is kept under another name, so that its run can be done again."""
    if (folder / store.RESULT).exists() and found_record(cell, folder) is None:
        number = 1
        while (aside := folder.with_name(f".{folder.name}.damaged-{number}")).exists():
            number += 1
        folder.rename(aside)


def check_writable(folder: Path) -> None:
    """Find out before any training that results can be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".writable-"):
            pass
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise MissingPrerequisite(
            f"results cannot be written to {folder}: {reason}", "choose another --output_path"
        ) from None
