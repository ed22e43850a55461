"""`unlearnbench compare A B`: is one method better than another, task by task?"""

import argparse
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from unlearnbench.errors import UsageError
from unlearnbench.records import store
from unlearnbench.records.record import Record, TaskResult


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
    verb.add_argument("--model", help="where labels have runs on several models: which, as tiny")
    verb.add_argument("--format", choices=["table", "markdown", "latex", "csv", "json"], default="table")
    verb.set_defaults(perform=perform)


def perform(chosen: argparse.Namespace) -> int:
    """Print one table for each pair."""
    from unlearnbench.leaderboard import comparison_table as tables
    from unlearnbench.leaderboard.comparing import compared
    from unlearnbench.leaderboard.contestants import contestants

    if len(chosen.methods) < 2 or len(set(chosen.methods)) < len(chosen.methods):
        raise UsageError("compare needs two different methods", "name their labels, or folders of their runs")
    entered = contestants(chosen.methods, chosen.results, chosen.facts, chosen.model)
    folders = {key: folder for one in entered for key, folder in one.folders.items()}

    def lines(record: Record, task: TaskResult) -> Iterable[Mapping[str, Any]]:
        return store.load_rows(folders[record.identity.record_hash], task.samples)

    found = compared([one.contestant for one in entered], lines, lambda said: print(f"note: {said}", file=sys.stderr))
    match chosen.format:
        case "csv":
            print(tables.as_csv(found), end="")
        case "json":
            print(tables.as_json(found))
        case style:
            print(tables.as_text(found, tables.FORMATS[style]))
    return 0
