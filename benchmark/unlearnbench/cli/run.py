"""`unlearnbench run`: do what is not done yet, then show the table."""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unlearnbench import registry
from unlearnbench.cli.grammar import Pairs, Words, whole_numbers
from unlearnbench.cli.progress import Progress
from unlearnbench.errors import MissingPrerequisite, UnlearnBenchError, UsageError
from unlearnbench.model.source import Located, locate
from unlearnbench.records import record
from unlearnbench.running import suites

if TYPE_CHECKING:
    from unlearnbench.running.plan import Cell

RESULTS = Path("results")


def add_to(verbs: Any) -> None:
    """Declare the verb and its options."""
    verb = verbs.add_parser("run", help="edit a model with each method and record what it still knows")
    verb.add_argument("--model", "-M", help="an organism (`ls models`), or hf for any Hugging Face causal LM")
    verb.add_argument(
        "--model_args",
        "-a",
        nargs="+",
        action=Pairs,
        metavar="K=V",
        help="for hf: pretrained=NAME|FOLDER, revision=, dtype=float32|bfloat16|float16, device_map=auto",
    )
    verb.add_argument("--facts", nargs="+", action=Words, metavar="F", help="what to forget: sports:athletes-64 …")
    verb.add_argument("--facts_file", help="your own facts in the fact set's format (sports: CSV athlete,sport)")
    verb.add_argument("--methods", "-m", nargs="+", action=Words, help="names, or name[setting=value,…]")
    verb.add_argument("--method_args", nargs="+", action=Pairs, metavar="K=V", help="settings for all methods")
    verb.add_argument("--tasks", "-t", nargs="+", action=Words, help="sports/forget …, or sports for all of them")
    verb.add_argument("--seeds", nargs="+", type=whole_numbers, help="0,1,2 or 0-4 (default 0)")
    verb.add_argument("--suite", help="a named list of runs (`ls suites`) or a .yaml file, instead of the above")
    verb.add_argument("--retain_text", help="world, pile or a file with one text per line (default: the model's)")
    verb.add_argument("--batch_size", "-b", type=int, help="prompts per forward pass when scoring (default 64)")
    verb.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 … (default cpu)")
    verb.add_argument(
        "--output_path", "-o", type=Path, help="results folder (default results/SUITE or results/scratch)"
    )
    verb.add_argument("--include", type=Path, action="append", help="folder with your own methods, tasks or facts")
    verb.add_argument("--dry_run", action="store_true", help="say what would be done and what is done already")
    verb.set_defaults(perform=perform)


@dataclass(frozen=True)
class Order:
    """What a command asks for, wherever it was written."""

    located: Located
    cells: "Sequence[Cell]"
    output: Path
    device: str


def perform(chosen: argparse.Namespace) -> int:
    """Plan, check, run and show."""
    order = _order(chosen)
    if chosen.dry_run:
        return _show_plan(order)
    _check_writable(order.output)
    todo = [cell for cell in order.cells if cell.skipped is None and not _done(order, cell)]
    able = [cell for cell in order.cells if cell.skipped is None]
    for reason in dict.fromkeys(f"{c.method_label}: {c.skipped}" for c in order.cells if c.skipped):
        print(f"skipped {reason}", file=sys.stderr)
    if not able:
        raise MissingPrerequisite("none of the methods can be run here", "see the reasons above")
    print(f"{len(able) - len(todo)} of {len(able)} runs are already in {order.output}/", file=sys.stderr)
    failures = _run_all(order, todo)
    from unlearnbench.leaderboard.rows import board
    from unlearnbench.leaderboard.table import render

    folders = [order.output / cell.spec.path for cell in able]
    print(render(board(record.load(folder) for folder in folders if (folder / record.RESULT).exists())))
    return 1 if failures else 0


def _run_all(order: Order, todo: "Sequence[Cell]") -> int:
    if not todo:
        return 0
    from unlearnbench.running.run import Runner  # torch, once there is something to run

    runner, failures = Runner(order.located, order.device), 0
    runner.prepare()
    with Progress(len(todo)) as progress:
        for cell in todo:
            progress.start(cell.label)
            try:
                outcome = runner.run(cell, progress.report)
            except (UsageError, MissingPrerequisite):
                raise
            except Exception as error:  # somebody's method or task: the others still run
                failures += 1
                progress.finish(f"FAILED {type(error).__name__}: {error}")
                continue
            try:
                outcome.save(order.output)
            except OSError as error:
                what = f"{cell.label} could not be written: {error}"
                raise UnlearnBenchError(what, "make room, then repeat the command") from error
            progress.finish(outcome.record.invalid_reason or "done")
    return failures


def _order(chosen: argparse.Namespace) -> Order:
    for folder in chosen.include or ():
        registry.include(folder)
    suite = _suite(chosen)
    if not suite.methods or not suite.facts or not suite.tasks:
        raise UsageError("run needs --methods, --facts and --tasks, or --suite", "see 'unlearnbench run --help'")
    if suite.batch_size < 1:
        raise UsageError(f"--batch_size must be 1 or more, not {suite.batch_size}")
    from unlearnbench.running.plan import parse_facts, parse_method, plan

    methods = [parse_method(word, chosen.method_args or {}) for word in suite.methods]
    facts = [parse_facts(word, chosen.facts_file) for word in suite.facts]
    located = locate(suite.model, suite.model_args, suite.retain_text)
    cells = plan(
        methods=methods,
        facts=facts,
        tasks=suite.tasks,
        seeds=suite.seeds,
        source=located.source,
        batch_size=suite.batch_size,
    )
    folder = f"{suite.name}-v{suite.version}" if chosen.suite else "scratch"
    return Order(located, cells, chosen.output_path or RESULTS / folder, chosen.device)


def _suite(chosen: argparse.Namespace) -> suites.Suite:
    """The suite that was named, or one made of the options."""
    options = ("model", "model_args", "facts", "methods", "tasks", "seeds", "batch_size", "retain_text")
    given = {name: value for name in options if (value := getattr(chosen, name)) is not None}
    if "seeds" in given:
        given["seeds"] = [seed for seeds in given["seeds"] for seed in seeds]
    if chosen.suite:
        unwanted = [*given, *(name for name in ("method_args", "facts_file") if getattr(chosen, name))]
        if unwanted:
            raise UsageError(f"--suite says all of --{', --'.join(unwanted)} itself", "leave one of them out")
        return suites.load_suite(chosen.suite)
    unnamed = {"name": "scratch", "version": 1, "about": "", "model": "tiny", "seeds": [0], "model_args": {}}
    defaults = {"facts": [], "methods": [], "tasks": [], "batch_size": 64, "retain_text": None}
    return suites.Suite.model_construct(**{**unnamed, **defaults, **given})


def _done(order: Order, cell: "Cell") -> bool:
    """Whether the record is there; one that was changed by hand is refused, not repeated silently."""
    folder = order.output / cell.spec.path
    return (folder / record.RESULT).exists() and bool(record.load(folder))


def _show_plan(order: Order) -> int:
    from tabulate import tabulate

    lines = []
    for cell in order.cells:
        state = cell.skipped and f"skipped: {cell.skipped}"
        state = state or ("done" if _done(order, cell) else "to do")
        lines.append([cell.method_label, cell.facts.label, cell.spec.seed, len(cell.tasks), state])
    print(tabulate(lines, ["method", "facts", "seed", "tasks", "state"]))
    print(f"\nmodel {order.located.source.name}; results in {order.output}/; nothing was run")
    return 0


def _check_writable(folder: Path) -> None:
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
