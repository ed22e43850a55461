"""`unlearnbench leaderboard`: the table of all records below a folder, and the document that is made of it."""

import argparse
import sys
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from unlearnbench.cli.grammar import STYLES
from unlearnbench.errors import UnknownName, UnlearnBenchError, UsageError
from unlearnbench.records import store
from unlearnbench.records.any_attack import Found, attacks_of
from unlearnbench.records.record import Record

ACTIONS = ("build", "check")
DOCUMENT = "LEADERBOARD.md"


class Read(NamedTuple):
    """What can be read below a folder."""

    found: list[tuple[Path, Record]]
    """Folders, relative to it, and records whose hashes match and whose metrics follow from their item logs."""
    attacks: dict[str, dict[str, Found]]
    """What each attack of each record came to, …"""
    answers: dict[str, dict[str, Any]]
    """… and what its tasks say for the score."""
    bad: list[UnlearnBenchError]
    """What is wrong with the others."""


def add_to(verbs: Any) -> None:
    """Declare the verb and its options."""
    verb = verbs.add_parser(
        "leaderboard", help="methods × tasks, mean over seeds; build or check LEADERBOARD.md of a folder"
    )
    verb.add_argument(
        "words",
        nargs="*",
        metavar="[build|check] FOLDER",
        help="results folder (default results); build writes its LEADERBOARD.md, check says whether that is stale",
    )
    verb.add_argument("--metric", help="show this metric for every task that has it, such as p_true or edit_accuracy")
    verb.add_argument("--format", choices=["table", "markdown", "csv", "json"], default="table")
    verb.add_argument(
        "--ranked", action="store_true", help="forgotten, kept, robust and their harmonic mean, with places, instead"
    )
    verb.add_argument("--output", "-o", type=Path, help=f"of build and check: the document (default FOLDER/{DOCUMENT})")
    verb.set_defaults(perform=perform)


def perform(chosen: argparse.Namespace) -> int:
    """Print the table of what can be read, or write the document; exit 1 where something could not be read."""
    action, folder = _said(chosen.words)
    if chosen.ranked and (chosen.metric or chosen.format in ("csv", "json")):
        raise UsageError("--ranked takes no --metric and is shown as table or markdown", "leave it out, or --ranked")
    if not folder.is_dir():
        raise UsageError(f"there is no results folder {folder}", "run something first, or name the folder")
    read = _read(folder)
    for error in read.bad:
        print(f"left out: {error}", file=sys.stderr)
    if not read.found:
        hint = "run something first, or name the folder; `run` repeats what cannot be read"
        raise UsageError(f"there is no record below {folder} that can be read", hint)
    if action is not None:
        return _document(action, folder, chosen.output or folder / DOCUMENT, read)
    _show(chosen, read)
    return 1 if read.bad else 0


def _said(words: list[str]) -> tuple[str | None, Path]:
    action = words[0] if words and words[0] in ACTIONS else None
    rest = words[1:] if action else words
    if len(rest) > 1:
        raise UsageError(f"leaderboard takes one folder, and was given {', '.join(rest)}", "name the one above them")
    return action, Path(rest[0]) if rest else Path("results")


def _document(action: str, folder: Path, path: Path, read: Read) -> int:
    from unlearnbench.leaderboard.document import document, stale

    text = document(read.found, read.attacks, read.answers, folder.as_posix(), path.as_posix())
    if action == "build":
        if read.bad:
            raise UsageError(
                f"{len(read.bad)} records cannot be read, and nothing was written", "remove or repeat them"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        store.replace_file(path, text.encode())
        print(f"{path}: {len(read.found)} records")
        return 0
    if not path.is_file():
        raise UsageError(f"there is no {path}", f"unlearnbench leaderboard build {folder} --output {path}")
    reason = stale(path.read_text("utf-8"), text)
    print(f"{path} is stale: {reason}" if reason else f"{path} is what the records say")
    return 1 if reason or read.bad else 0


def _show(chosen: argparse.Namespace, read: Read) -> None:
    from unlearnbench.leaderboard import export
    from unlearnbench.leaderboard import rankings as order
    from unlearnbench.leaderboard.standings import board
    from unlearnbench.leaderboard.table import render

    found = [record for _, record in read.found]
    if chosen.ranked:
        tables = order.rankings(found, read.answers)
        if not tables:
            raise UsageError("no table has a run of `none`, which is what forgetting is counted from", "run it as well")
        parts = [order.shown(setting, one, STYLES[chosen.format]) for setting, one in tables.items()]
        print("\n\n".join([*parts, order.LEGEND]))
        return
    if chosen.metric:
        known = {metric.name for one in found for task in one.tasks for metric in task.metrics if not metric.at}
        if chosen.metric not in known:
            raise UnknownName("metric", chosen.metric, known)
    rows = board(found, chosen.metric, read.attacks)
    match chosen.format:
        case "csv":
            print(export.as_csv(rows), end="")
        case "json":
            print(export.as_json(rows))
        case style:
            print(render(rows, STYLES[style]))


def _read(folder: Path) -> Read:
    """Everything below a folder."""
    from unlearnbench.leaderboard.evidence import answers

    read = Read([], {}, {}, [])
    paths = store.result_files(folder)
    for path in tqdm(paths, unit="record", disable=len(paths) < 50 or not sys.stderr.isatty()):
        try:
            record, rows = store.load_recomputed(path)
            key = record.identity.record_hash
            read.attacks[key], read.answers[key] = attacks_of(record, rows), answers(record, rows)
            read.found.append((path.parent.relative_to(folder), record))
        except UnlearnBenchError as error:
            read.bad.append(error)
    return read
