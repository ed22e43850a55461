"""`unlearnbench compare A B`: is one method better than another, task by task?"""

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unlearnbench.errors import UnknownName, UsageError
from unlearnbench.records import store
from unlearnbench.records.record import Record, TaskResult

if TYPE_CHECKING:
    from unlearnbench.leaderboard.comparing import Contestant


def add_to(verbs: Any) -> None:
    """Declare the verb and its options."""
    verb = verbs.add_parser("compare", help="methods against each other on the same items: differences, p, a sentence")
    verb.add_argument(
        "methods",
        nargs="+",
        metavar="METHOD|FOLDER",
        help="two or more: labels as in the table, folders of runs, or their saved models",
    )
    verb.add_argument("--results", type=Path, default=Path("results"), help="where labels are looked up (results)")
    verb.add_argument("--facts", help="where labels have runs on several fact sets: which, as sports:people-64")
    verb.add_argument("--format", choices=["table", "markdown", "latex", "csv", "json"], default="table")
    verb.set_defaults(perform=perform)


def perform(chosen: argparse.Namespace) -> int:
    """Print one table for each pair."""
    from unlearnbench.leaderboard import comparison_table as tables
    from unlearnbench.leaderboard.comparing import compared

    if len(chosen.methods) < 2 or len(set(chosen.methods)) < len(chosen.methods):
        raise UsageError("compare needs two different methods", "name their labels, or folders of their runs")
    folders = dict[str, Path]()
    contestants = [_contestant(word, chosen, folders) for word in chosen.methods]

    def lines(record: Record, task: TaskResult) -> Iterable[Mapping[str, Any]]:
        return store.load_rows(folders[record.identity.record_hash], task.samples)

    found = compared(contestants, lines)
    match chosen.format:
        case "csv":
            print(tables.as_csv(found), end="")
        case "json":
            print(tables.as_json(found))
        case style:
            print(tables.as_text(found, tables.FORMATS[style]))
    return 0


def _contestant(word: str, chosen: argparse.Namespace, folders: dict[str, Path]) -> "Contestant":
    """The valid runs that a word means."""
    from unlearnbench.leaderboard.comparing import Contestant

    path = Path(word)
    if (path / "config.json").is_file() and (path.parent / store.RESULT).is_file():
        path = path.parent  # a saved model, beside its record
    if path.is_dir():
        records, name = store.records(path), word
    else:
        records, name = _labelled(word, chosen.results), word
    if chosen.facts:
        records = [(folder, one) for folder, one in records if one.spec.facts.label == chosen.facts]
    valid = [(folder, one) for folder, one in records if one.status == "completed"]
    if not valid:
        raise UsageError(f"there is no valid run of {word!r}{f' on {chosen.facts}' if chosen.facts else ''}")
    labels = sorted({f"{one.label} on {one.spec.facts.label}, {one.spec.model.name}" for _, one in valid})
    if len(labels) > 1:
        raise UsageError(
            f"{word!r} means runs of several: {', '.join(labels)}", "say --facts, or a folder of one of them"
        )
    folders |= {one.identity.record_hash: folder for folder, one in valid}
    latest = sorted(valid, key=lambda found: found[1].sessions[0].created_at)
    return Contestant(latest[-1][1].label if path.is_dir() else name, {one.spec.seed: one for _, one in latest})


def _labelled(label: str, results: Path) -> list[tuple[Path, Record]]:
    if not results.is_dir():
        raise UsageError(f"there is no results folder {results}", "say --results FOLDER")
    found = store.records(results)
    mine = [(folder, one) for folder, one in found if one.label == label]
    if not mine:
        raise UnknownName("method", label, {one.label for _, one in found})
    return mine
