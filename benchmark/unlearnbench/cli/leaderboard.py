"""`unlearnbench leaderboard`: the table of all records below a folder, and the document that is made of it."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from tqdm import tqdm

from unlearnbench.cli.grammar import STYLES
from unlearnbench.errors import TamperedRecord, UnknownName, UsageError
from unlearnbench.records import store

ACTIONS = ("build", "check")
DOCUMENT = "LEADERBOARD.md"


def add_to(verbs: Any) -> None:
    """Declare the verb and its options."""
    verb = verbs.add_parser(
        "leaderboard", help="methods × tasks, mean over seeds; build or check LEADERBOARD.md of folders"
    )
    verb.add_argument(
        "words",
        nargs="*",
        metavar="[build|check] FOLDER",
        help="results folders (default results), the board's own first: of the same run twice the first counts; build"
        " writes LEADERBOARD.md and a page beside it, check says whether the former is stale",
    )
    verb.add_argument("--metric", help="show this metric for every task that has it, such as p_true or edit_accuracy")
    verb.add_argument("--format", choices=["table", "markdown", "csv", "json"], default="table")
    verb.add_argument(
        "--ranked", action="store_true", help="forgotten, kept, robust and their harmonic mean, with places, instead"
    )
    verb.add_argument("--output", "-o", type=Path, help=f"of build and check: the document (default FOLDER/{DOCUMENT})")
    verb.add_argument(
        "--recompute", action="store_true", help="read every file, also those that have not changed since the last time"
    )
    verb.set_defaults(perform=perform)


def perform(chosen: argparse.Namespace) -> int:
    """Print the table of what can be read, or write the document; exit 1 where something could not be read."""
    from unlearnbench.leaderboard.entries import read
    from unlearnbench.leaderboard.index import Index

    action, folders = _said(chosen.words)
    if chosen.ranked and (chosen.metric or chosen.format in ("csv", "json")):
        raise UsageError("--ranked takes no --metric and is shown as table or markdown", "leave it out, or --ranked")
    with nullcontext() if chosen.recompute else Index() as index:
        found = read(folders, _shown, index)
    for error in found.bad:
        print(f"left out: {error}", file=sys.stderr)
    for said in found.notes:
        print(f"note: {said}", file=sys.stderr)
    if not found.entries:
        hint = "run something first, or name the folder; `run` repeats what cannot be read"
        raise UsageError(f"there is no record below {_listed(folders)} that can be read", hint)
    if action is not None:
        return _document(action, folders, chosen.output or folders[0] / DOCUMENT, found)
    _show(chosen, found)
    return 1 if found.bad else 0


def _said(words: list[str]) -> tuple[str | None, list[Path]]:
    action = words[0] if words and words[0] in ACTIONS else None
    return action, [Path(word) for word in (words[1:] if action else words)] or [Path("results")]


def _listed(folders: Sequence[Path]) -> str:
    return ", ".join(folder.as_posix() for folder in folders)


def _shown(paths: Sequence[Path]) -> Iterable[Path]:
    return tqdm(paths, unit="record", disable=len(paths) < 50 or not sys.stderr.isatty())


def _document(action: str, folders: Sequence[Path], path: Path, found: Any) -> int:
    from unlearnbench.leaderboard.board import Board
    from unlearnbench.leaderboard.document import document, stale
    from unlearnbench.leaderboard.page.contents import contents
    from unlearnbench.leaderboard.page.html import page

    if path.suffix == ".html":
        raise UsageError(f"{path} is the page, which is written beside the document", "--output FILE.md")
    said = [folder.as_posix() for folder in folders]
    board = Board.of(found.entries)
    text, beside = document(board, said, path), path.with_suffix(".html")
    if action == "build":
        if found.bad:
            raise TamperedRecord(
                f"{len(found.bad)} records cannot be read, and nothing was written", "remove or repeat them"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        store.replace_file(beside, page(contents(board, said, beside)).encode())
        store.replace_file(path, text.encode())
        print(f"{path}: {len(found.entries)} records\n{beside}: the same to sort, filter and compare, in any browser")
        return 0
    if not path.is_file():
        hint = f"unlearnbench leaderboard build {' '.join(map(str, folders))} --output {path}"
        raise UsageError(f"there is no {path}", hint)
    reason = stale(path.read_text("utf-8"), text)
    print(f"{path} is stale: {reason}" if reason else f"{path} is what the records say")
    return 1 if reason or found.bad else 0


def _show(chosen: argparse.Namespace, read: Any) -> None:
    from unlearnbench.leaderboard import export
    from unlearnbench.leaderboard import rankings as order
    from unlearnbench.leaderboard.standings import standings
    from unlearnbench.leaderboard.table import render

    found = [one.record for one in read.entries]
    if chosen.ranked:
        tables = order.rankings(read.entries)
        if not tables:
            raise UsageError("no table has a run of `none`, which is what forgetting is counted from", "run it as well")
        parts = [order.shown(setting, one, STYLES[chosen.format]) for setting, one in tables.items()]
        print("\n\n".join([*parts, order.LEGEND]))
        return
    if chosen.metric:
        known = {metric.name for one in found for task in one.tasks for metric in task.metrics if not metric.at}
        if chosen.metric not in known:
            raise UnknownName("metric", chosen.metric, known)
    rows = standings(found, chosen.metric, {one.key: one.attacks for one in read.entries})
    match chosen.format:
        case "csv":
            print(export.as_csv(rows), end="")
        case "json":
            print(export.as_json(rows))
        case style:
            print(render(rows, STYLES[style]))
