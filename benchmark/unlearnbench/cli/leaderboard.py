"""`unlearnbench leaderboard`: the table of all records below a folder."""

import argparse
from pathlib import Path
from typing import Any

from unlearnbench.errors import UsageError
from unlearnbench.records import record


def add_to(verbs: Any) -> None:
    """Declare the verb and its options."""
    verb = verbs.add_parser("leaderboard", help="methods × tasks, mean over seeds, difference from the untouched model")
    verb.add_argument("folder", nargs="?", type=Path, default=Path("results"), help="results folder (default results)")
    verb.add_argument("--metric", help="show this metric for every task that has it, such as p_true or edit_accuracy")
    verb.add_argument("--format", choices=["table", "markdown", "tsv"], default="table")
    verb.set_defaults(perform=perform)


def perform(chosen: argparse.Namespace) -> int:
    """Print the table."""
    from unlearnbench.leaderboard.rows import board
    from unlearnbench.leaderboard.table import render

    if not chosen.folder.is_dir():
        raise UsageError(f"there is no results folder {chosen.folder}", "run something first, or name the folder")
    found = [one for _, one in record.records(chosen.folder)]
    if chosen.metric:
        known = sorted({metric.name for one in found for metric in one.metrics})
        if chosen.metric not in known:
            from unlearnbench.errors import UnknownName

            raise UnknownName("metric", chosen.metric, known)
    print(render(board(found, chosen.metric), {"table": "simple", "markdown": "github", "tsv": "tsv"}[chosen.format]))
    return 0
