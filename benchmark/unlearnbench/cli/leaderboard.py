"""`unlearnbench leaderboard`: the table of all records below a folder."""

import argparse
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from unlearnbench.cli.grammar import STYLES
from unlearnbench.errors import UnknownName, UnlearnBenchError, UsageError
from unlearnbench.records import store
from unlearnbench.records.any_attack import Found, attacks_of
from unlearnbench.records.record import Record


def add_to(verbs: Any) -> None:
    """Declare the verb and its options."""
    verb = verbs.add_parser("leaderboard", help="methods × tasks, mean over seeds, difference from the untouched model")
    verb.add_argument("folder", nargs="?", type=Path, default=Path("results"), help="results folder (default results)")
    verb.add_argument("--metric", help="show this metric for every task that has it, such as p_true or edit_accuracy")
    verb.add_argument("--format", choices=["table", "markdown", "csv", "json"], default="table")
    verb.add_argument(
        "--ranked", action="store_true", help="forgotten, kept, robust and their harmonic mean, with places, instead"
    )
    verb.set_defaults(perform=perform)


def perform(chosen: argparse.Namespace) -> int:
    """Print the table of what can be read; exit 1 where something could not."""
    from unlearnbench.leaderboard import export
    from unlearnbench.leaderboard.standings import board
    from unlearnbench.leaderboard.table import render

    if not chosen.folder.is_dir():
        raise UsageError(f"there is no results folder {chosen.folder}", "run something first, or name the folder")
    if chosen.ranked and (chosen.metric or chosen.format in ("csv", "json")):
        raise UsageError("--ranked takes no --metric and is shown as table or markdown", "leave it out, or --ranked")
    found, attacks, answers, bad = _read(chosen.folder)
    for error in bad:
        print(f"left out: {error}", file=sys.stderr)
    if not found:
        hint = "run something first, or name the folder; `run` repeats what cannot be read"
        raise UsageError(f"there is no record below {chosen.folder} that can be read", hint)
    if chosen.metric:
        known = {metric.name for one in found for task in one.tasks for metric in task.metrics if not metric.at}
        if chosen.metric not in known:
            raise UnknownName("metric", chosen.metric, known)
    if chosen.ranked:
        from unlearnbench.leaderboard import rankings as order

        tables = order.rankings(found, answers)
        if not tables:
            raise UsageError("no table has a run of `none`, which is what forgetting is counted from", "run it as well")
        parts = [order.shown(setting, one, STYLES[chosen.format]) for setting, one in tables.items()]
        print("\n\n".join([*parts, order.LEGEND]))
        return 1 if bad else 0
    rows = board(found, chosen.metric, attacks)
    match chosen.format:
        case "csv":
            print(export.as_csv(rows), end="")
        case "json":
            print(export.as_json(rows))
        case style:
            print(render(rows, STYLES[style]))
    return 1 if bad else 0


Attacks = dict[str, dict[str, Found]]


def _read(folder: Path) -> tuple[list[Record], Attacks, dict[str, dict[str, Any]], list[UnlearnBenchError]]:
    """The records whose hashes match and whose metrics follow from their item logs, and what is wrong with others.

    Beside them what each attack of each record came to, and what its tasks say for the score.
    """
    from unlearnbench.leaderboard.evidence import answers

    found, attacks, bad = list[Record](), dict[str, dict[str, Found]](), list[UnlearnBenchError]()
    said = dict[str, dict[str, Any]]()
    paths = store.result_files(folder)
    for path in tqdm(paths, unit="record", disable=len(paths) < 50 or not sys.stderr.isatty()):
        try:
            record = store.load_recomputed(path)
            attacks[record.identity.record_hash] = attacks_of(record, path.parent)
            said[record.identity.record_hash] = answers(
                record,
                lambda one, folder=path.parent: store.load_rows(folder, one.samples),  # type: ignore[misc]
            )
            found.append(record)
        except UnlearnBenchError as error:
            bad.append(error)
    return found, attacks, said, bad
