"""`unlearnbench run`: do what is not done yet, then show the table."""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unlearnbench import record, registry, suites
from unlearnbench.cli.grammar import Pairs, Words, whole_numbers
from unlearnbench.cli.progress import Progress
from unlearnbench.errors import MissingPrerequisite, UnlearnBenchError, UsageError
from unlearnbench.knowledge import known_by_all
from unlearnbench.runspec import EvalSpec
from unlearnbench.saving import is_kept
from unlearnbench.source import locate_all

if TYPE_CHECKING:
    from unlearnbench.plan import Cell
    from unlearnbench.runner import Runner

RESULTS = Path("results")


def add_to(verbs: Any) -> None:
    """Declare the verb and its options."""
    verb = verbs.add_parser("run", help="edit a model with each method and record what it still knows")
    verb.add_argument(
        "--model",
        "-M",
        help="organisms (`ls models`), hf for any Hugging Face causal LM, or several: tiny,hf[pretrained=…]",
    )
    verb.add_argument(
        "--model_args",
        "-a",
        nargs="+",
        action=Pairs,
        metavar="K=V",
        help="for hf: pretrained=NAME|FOLDER, revision=, dtype=float32|bfloat16, device_map=auto, chat_template=yes|no",
    )
    verb.add_argument("--facts", nargs="+", action=Words, metavar="F", help="what to forget: sports:athletes-64 …")
    verb.add_argument("--facts_file", help="your own facts in the fact set's format (sports: CSV athlete,sport)")
    verb.add_argument("--methods", "-m", nargs="+", action=Words, help="names, or name[setting=value,…]")
    verb.add_argument("--method_args", nargs="+", action=Pairs, metavar="K=V", help="settings for all methods")
    verb.add_argument(
        "--tasks", "-t", nargs="+", action=Words, help="sports/forget …, or sports for all of them; mmlu, text"
    )
    verb.add_argument(
        "--side_effects",
        nargs="+",
        action=Words,
        metavar="T",
        help="any lm-eval tasks: hellaswag,wikitext …",
    )
    verb.add_argument(
        "--num_fewshot", type=int, help="examples in the prompt of mmlu and of side effects (default: the task's)"
    )
    verb.add_argument("--limit", type=int, help="questions of mmlu and of each side effect, evenly over subjects")
    verb.add_argument("--seeds", nargs="+", type=whole_numbers, help="0,1,2 or 0-4 (default 0)")
    verb.add_argument("--suite", help="a named list of runs (`ls suites`) or a .yaml file, instead of the above")
    verb.add_argument("--retain_text", help="world, pile or a file with one text per line (default: the model's)")
    verb.add_argument("--batch_size", "-b", type=int, help="prompts per forward pass when scoring (default 64)")
    verb.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 … (default cpu)")
    verb.add_argument(
        "--output_path", "-o", type=Path, help="results folder (default results/SUITE or results/scratch)"
    )
    verb.add_argument("--include", type=Path, action="append", help="folder with your own methods, tasks or facts")
    verb.add_argument("--save_model", type=Path, metavar="DIR", help="keep the edited model as a Hugging Face folder")
    verb.add_argument("--dry_run", action="store_true", help="say what would be done and what is done already")
    verb.set_defaults(perform=perform)


@dataclass(frozen=True)
class Order:
    """What a command asks for, wherever it was written."""

    batches: "Sequence[tuple[Runner, Sequence[Cell]]]"
    """The runs of each model."""
    output: Path
    models: Path | None
    """Where edited models are kept, if they are."""

    @property
    def cells(self) -> "list[Cell]":
        """All runs, model by model."""
        return [cell for _, cells in self.batches for cell in cells]

    def model_folder(self, cell: "Cell") -> Path | None:
        """Where this run's edited model is kept: the folder given, or below it where there are several runs."""
        if self.models is None:
            return None
        return self.models if len(self.cells) == 1 else self.models / cell.spec.path

    def is_kept(self, cell: "Cell") -> bool:
        """Whether its model is there, or need not be; raises `UsageError` where something else is."""
        folder = self.model_folder(cell)
        return folder is None or is_kept(folder, cell.spec)


def perform(chosen: argparse.Namespace) -> int:
    """Plan, check, run and show."""
    order = _order(chosen)
    for cell in order.cells:
        order.is_kept(cell)  # a folder that is taken is said before anything is run
    if chosen.dry_run:
        return _show_plan(order)
    _check_writable(order.output, "results", "--output_path")
    if order.models is not None:
        _check_writable(order.models.parent, "edited models", "--save_model")
    able = [cell for cell in order.cells if cell.skipped is None]
    for reason in dict.fromkeys(f"{c.method_label}: {c.skipped}" for c in order.cells if c.skipped):
        print(f"skipped {reason}", file=sys.stderr)
    if not able:
        raise MissingPrerequisite("none of the methods can be run here", "see the reasons above")
    todo = [(runner, [cell for cell in cells if _to_do(order, cell)]) for runner, cells in order.batches]
    left = sum(len(cells) for _, cells in todo)
    print(f"{len(able) - left} of {len(able)} runs are already in {order.output}/", file=sys.stderr)
    failures = _run_all(order, todo, left)
    from unlearnbench.leaderboard.rows import board
    from unlearnbench.leaderboard.table import render

    folders = [order.output / cell.spec.path for cell in able]
    print(render(board(record.load(folder) for folder in folders if (folder / record.RESULT).exists())))
    return 1 if failures else 0


def _run_all(order: Order, todo: "Sequence[tuple[Runner, Sequence[Cell]]]", left: int) -> int:
    failures = 0
    with Progress(left) as progress:
        for runner, cells in todo:
            if cells:
                runner.prepare()
            for cell in cells:
                failures += not _run(order, runner, cell, progress)
            runner.release()
    return failures


def _run(order: Order, runner: "Runner", cell: "Cell", progress: Progress) -> bool:
    """Whether the run could be done; what the user can mend is raised."""
    progress.start(cell.label)
    try:
        outcome = runner.run(cell, progress.report, order.model_folder(cell))
    except (UsageError, MissingPrerequisite):
        raise
    except Exception as error:  # somebody's method or task: the others still run
        progress.finish(f"FAILED {type(error).__name__}: {error}")
        return False
    try:
        outcome.save(order.output)
    except OSError as error:
        what = f"{cell.label} could not be written: {error}"
        raise UnlearnBenchError(what, "make room, then repeat the command") from error
    progress.finish(outcome.record.invalid_reason or "done")
    return True


def _order(chosen: argparse.Namespace) -> Order:
    for folder in chosen.include or ():
        registry.include(folder)
    suite = _suite(chosen)
    if not suite.methods or not suite.facts or not (suite.tasks or suite.side_effects):
        raise UsageError("run needs --methods, --facts and --tasks, or --suite", "see 'unlearnbench run --help'")
    if suite.batch_size < 1:
        raise UsageError(f"--batch_size must be 1 or more, not {suite.batch_size}")
    if chosen.facts_file and len(suite.facts) > 1:
        raise UsageError("--facts_file is for one fact set", "with several, say NAME[facts_file=PATH]")
    from unlearnbench.plan import parse_facts, parse_method, plan
    from unlearnbench.runner import Runner

    methods = [parse_method(word, chosen.method_args or {}) for word in suite.methods]
    runners = [Runner(one, chosen.device) for one in locate_all(suite.model, suite.model_args, suite.retain_text)]
    facts = [[parse_facts(word, r.source, chosen.facts_file) for word in suite.facts] for r in runners]
    for one in dict.fromkeys(fact_set for known in facts for fact_set in known):
        for warning in one.warnings():
            print(f"warning: {warning}", file=sys.stderr)
    beside = {"num_fewshot": suite.num_fewshot, "limit": suite.limit}
    limited = known_by_all(runners, facts, suite.batch_size)
    for one in dict.fromkeys(fact_set for known in limited for fact_set in known if fact_set.candidates()):
        counts = ", ".join(f"{number:,} {what.replace('_', ' ')}" for what, number in one.counts().items())
        print(f"{one.label}: {counts}", file=sys.stderr)
    batches = [
        (
            runner,
            plan(
                methods=methods,
                facts=known,
                tasks=[*suite.tasks, *(f"general/{task}" for task in suite.side_effects)],
                seeds=suite.seeds,
                source=runner.source,
                task_settings={k: v for k, v in beside.items() if v is not None},
                evaluation=EvalSpec(batch_size=suite.batch_size),
            ),
        )
        for runner, known in zip(runners, limited, strict=True)
    ]
    folder = f"{suite.name}-v{suite.version}" if chosen.suite else "scratch"
    return Order(batches, chosen.output_path or RESULTS / folder, chosen.save_model)


def _suite(chosen: argparse.Namespace) -> suites.Suite:
    """The suite that was named, or one made of the options."""
    options = (
        *("model", "model_args", "facts", "methods", "tasks", "side_effects", "num_fewshot", "limit", "seeds"),
        *("batch_size", "retain_text"),
    )
    given = {name: value for name in options if (value := getattr(chosen, name)) is not None}
    if "seeds" in given:
        given["seeds"] = [seed for seeds in given["seeds"] for seed in seeds]
    if chosen.suite:
        unwanted = [*given, *(name for name in ("method_args", "facts_file") if getattr(chosen, name))]
        if unwanted:
            raise UsageError(f"--suite says all of --{', --'.join(unwanted)} itself", "leave one of them out")
        return suites.load_suite(chosen.suite)
    unnamed = {"name": "scratch", "version": 1, "about": "", "model": "tiny", "seeds": [0], "model_args": {}}
    defaults = {"facts": [], "methods": [], "tasks": [], "side_effects": [], "batch_size": 64}
    defaults |= {"retain_text": None, "num_fewshot": None, "limit": None}
    return suites.Suite.model_construct(**{**unnamed, **defaults, **given})


def _to_do(order: Order, cell: "Cell") -> bool:
    if cell.skipped is not None:
        return False
    return not (order.is_kept(cell) and _done(order, cell))


def _done(order: Order, cell: "Cell") -> bool:
    """Whether the record is there; one that was changed by hand is refused, not repeated silently."""
    folder = order.output / cell.spec.path
    return (folder / record.RESULT).exists() and bool(record.load(folder))


def _show_plan(order: Order) -> int:
    from tabulate import tabulate

    lines = []
    for cell in order.cells:
        state = cell.skipped and f"skipped: {cell.skipped}"
        state = state or ("to do" if _to_do(order, cell) else "done")
        lines.append(
            [cell.spec.model.name, cell.method_label, cell.facts.label, cell.spec.seed, len(cell.tasks), state]
        )
    print(tabulate(lines, ["model", "method", "facts", "seed", "tasks", "state"]))
    names = ", ".join(runner.source.name for runner, _ in order.batches)
    print(f"\nmodel {names}; results in {order.output}/; nothing was run")
    return 0


def _check_writable(folder: Path, what: str, option: str) -> None:
    """Find out before any training that what it leaves can be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".writable-"):
            pass
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise MissingPrerequisite(
            f"{what} cannot be written to {folder}: {reason}", f"choose another {option}"
        ) from None
