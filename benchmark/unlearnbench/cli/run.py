"""`unlearnbench run`: do what is not done yet, then show the table."""

import argparse
import sys
from pathlib import Path
from typing import Any

from unlearnbench.cli.grammar import Pairs, Words, whole_numbers
from unlearnbench.cli.progress import Progress
from unlearnbench.editing.localization_file import read_localization
from unlearnbench.errors import MissingPrerequisite, UsageError
from unlearnbench.include import include
from unlearnbench.running import suites
from unlearnbench.running.grid import read_grid
from unlearnbench.running.loop import found_record, missing, settled
from unlearnbench.running.loop import perform as perform_order
from unlearnbench.running.order import RESULTS, Order, Request, ordered
from unlearnbench.running.runner import unasked
from unlearnbench.running.tuned_file import read_tuned
from unlearnbench.running.words import side_effects

SUITE_OPTIONS = ("model", "model_args", "facts", "methods", "tasks", "seeds", "batch_size", "retain_text")
"""What a suite says itself …"""
OWN_OPTIONS = tuple(
    "method_args tuned localization facts_file device threads keep_edits save_model output_path".split()
)
"""… and what is said beside it, or not at all."""


def add_to(verbs: Any) -> None:
    """Declare the verb and its options."""
    verb = verbs.add_parser("run", help="edit a model with each method and record what it still knows")
    add_model_options(verb)
    verb.add_argument(
        "--base",
        metavar="NAME|FOLDER",
        help="score the finished edit pretrained=… against this, the model it was made from",
    )
    verb.add_argument("--facts", nargs="+", action=Words, metavar="F", help="what to forget: sports:people-64 …")
    _add_method_options(verb)
    verb.add_argument(
        "--tasks",
        "-t",
        nargs="+",
        action=Words,
        help="sports/forget …, or sports, sports/questions, sports/quick, sports/full",
    )
    verb.add_argument(
        "--side_effects",
        nargs="+",
        action=Words,
        metavar="T",
        help="tasks of lm-eval that are asked besides: hellaswag,wikitext[limit=50] …",
    )
    verb.add_argument("--seeds", nargs="+", type=whole_numbers, help="0,1,2 or 0-4 (default 0)")
    verb.add_argument("--suite", help="a list of runs (`ls suites`) or a .yaml file, instead; --methods may be others")
    verb.add_argument(
        "--batch_size",
        "-b",
        type=int,
        help="prompts per forward pass (default 64); another is another task",
    )
    verb.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 … (default cpu); no part of a run's identity")
    verb.add_argument(
        "--keep_edits", action="store_true", help="keep the edited tensors, so that more tasks need no new edit"
    )
    verb.add_argument(
        "--save_model", action="store_true", help="write each edited model into model/ of its run, as a normal folder"
    )
    verb.add_argument(
        "--output_path",
        "-o",
        type=Path,
        help="results folder (default results/SUITE-vN or results/scratch)",
    )
    verb.add_argument("--dry_run", action="store_true", help="say what would be done and what is done already")
    verb.set_defaults(perform=perform)


def _add_method_options(verb: argparse.ArgumentParser) -> None:
    """The options that say which methods, with which settings."""
    verb.add_argument("--methods", "-m", nargs="+", action=Words, help="names, or name[setting=value,…]")
    verb.add_argument(
        "--method_args", nargs="+", action=Pairs, metavar="K=V", help="settings for all methods that have them"
    )
    verb.add_argument(
        "--grid",
        nargs="+",
        metavar="K=V,V…",
        help="cross the methods (default full_finetune) with these: localizer=… objective=… adversary=…",
    )
    verb.add_argument("--tuned", type=Path, metavar="FILE", help="take each method with the settings that `tune` chose")
    verb.add_argument(
        "--localization",
        type=Path,
        metavar="FILE",
        help="where methods write that set no localizer; as `localize --output` or you say it",
    )


def add_model_options(verb: argparse.ArgumentParser) -> None:
    """The options that say where a model, its text and a user's own entries come from."""
    verb.add_argument("--model", "-M", help="an organism (`ls models`), or hf for any Hugging Face causal LM")
    verb.add_argument(
        "--model_args",
        "-a",
        nargs="+",
        action=Pairs,
        metavar="K=V",
        help="for hf: pretrained=NAME|FOLDER, revision=, dtype=float32|bfloat16, device_map=auto, attention=sdpa|eager,"
        " chat_template=yes|no",
    )
    verb.add_argument("--facts_file", help="your own facts in the fact set's format (sports: CSV athlete,sport)")
    verb.add_argument("--retain_text", help="world, pile or a file with one text per line (default: the model's)")
    verb.add_argument("--threads", type=int, help="CPU threads (default: 1 for small models, torch's own for others)")
    verb.add_argument("--include", type=Path, action="append", help="folder with your own entries (see CONTRIBUTING)")


def perform(chosen: argparse.Namespace) -> int:
    """Plan, check, run and show."""
    for folder in chosen.include or ():
        include(folder)
    order = ordered(_request(chosen))
    for note in _notes(order):
        print(f"note: {note}", file=sys.stderr)
    if chosen.dry_run:
        return _show_plan(order)
    able = [cell for cell in order.cells if cell.skipped is None]
    for reason in dict.fromkeys(f"{c.method_label}: {c.skipped}" for c in order.cells if c.skipped):
        print(f"skipped {reason}", file=sys.stderr)
    if not able:
        raise MissingPrerequisite("none of the methods can be run here", "see the reasons above")
    todo = missing(order)
    print(f"{len(able) - len(todo)} of {len(able)} runs are already in {order.output}/", file=sys.stderr)
    with Progress(len(todo)) as progress:
        outcome = perform_order(order, todo, progress, debug=chosen.debug)
    from unlearnbench.leaderboard.standings import standings
    from unlearnbench.leaderboard.table import render

    print(render(standings(outcome.records, attacks=outcome.attacks)))
    for failure in outcome.failures:
        print(f"failed: {failure}", file=sys.stderr)
    return 1 if outcome.failures else 0


def _notes(order: Order) -> list[str]:
    """What files were made for, where they are used for something else."""
    notes = list[str]()
    facts, seeds = {cell.facts.label for cell in order.cells}, {cell.spec.seed for cell in order.cells}
    if order.request.tuned is not None:
        tuned, name = read_tuned(Path(order.request.tuned)), Path(order.request.tuned).name
        if tuned.weights_sha256 != order.located.source.weights_sha256:
            notes.append(f"{name} was tuned on other weights, of {tuned.model}")
        if {tuned.facts} != facts:
            notes.append(f"{name} was tuned on {tuned.facts}")
        if tuned.seed in seeds:
            notes.append(f"{name} was tuned on seed {tuned.seed}, which is compared here")
    if order.request.localization is None:
        return notes
    path = Path(order.request.localization)
    said = read_localization(path)
    if said.weights_sha256 not in (None, order.located.source.weights_sha256):
        notes.append(f"{path.name} was made from other weights, of {said.model}")
    if said.facts is not None and {said.facts} != facts:
        notes.append(f"{path.name} was made for {said.facts}")
    if said.seed is not None and {said.seed} != seeds:
        notes.append(f"{path.name} was made at seed {said.seed}, and other seeds draw other facts")
    return notes


def _request(chosen: argparse.Namespace) -> Request:
    """What was asked for, by a suite or by options."""
    given = {name: value for name in SUITE_OPTIONS if (value := getattr(chosen, name)) is not None}
    beside = {name: value for name in OWN_OPTIONS if (value := getattr(chosen, name)) is not None}
    if chosen.side_effects:
        given["tasks"] = [*given.get("tasks", ()), *side_effects(chosen.side_effects)]
    if "seeds" in given:
        given["seeds"] = [seed for seeds in given["seeds"] for seed in seeds]
    if chosen.base:
        given |= _finished(chosen)
    if chosen.grid and not chosen.suite:
        given |= {"methods": given.get("methods") or ["full_finetune"], "grid": read_grid(chosen.grid)}
    if not chosen.suite:
        return Request(**{"methods": (), "facts": (), "tasks": (), **given, **beside})
    own = {"methods": given.pop("methods")} if "methods" in given else {}
    unwanted = [*given, *(name for name in ("method_args", "tuned", "localization", "facts_file") if name in beside)]
    unwanted += ["grid"] if chosen.grid else []
    if unwanted:
        raise UsageError(f"--suite says all of --{', --'.join(unwanted)} itself", "leave one of them out")
    suite = suites.load_suite(chosen.suite)
    said = {name: getattr(suite, name) for name in (*SUITE_OPTIONS, "tuned")} | own
    # What is somebody's own does not go among the suite's results.
    return Request(**{"output_path": RESULTS / ("scratch" if own else suite.folder), **said, **beside})


def _finished(chosen: argparse.Namespace) -> dict[str, Any]:
    """A checkpoint that another tool made, as a method beside its own base."""
    arguments = dict(chosen.model_args or {})
    edited = arguments.pop("pretrained", None)
    if "revision" in arguments:
        raise UsageError(
            "--base takes no revision=: of which of the two would it be?", "download one of them, give its folder"
        )
    if chosen.model != "hf" or not edited or chosen.methods:
        raise UsageError(
            "--base says what a finished edit was made from",
            "say --model hf --model_args pretrained=EDITED --base BASE, and no --methods",
        )
    return {
        "model_args": {**arguments, "pretrained": chosen.base},
        "methods": ["none", f"checkpoint[pretrained={edited}]"],
    }


def _show_plan(order: Order) -> int:
    from tabulate import tabulate

    lines = []
    for cell in order.cells:
        record = found_record(cell, order.folder(cell))
        left = len(unasked(cell, record))
        state = f"skipped: {cell.skipped}" if cell.skipped else "done" if settled(order, cell) else "to do"
        if record is not None and left and not cell.skipped:
            state = f"to do: {left} of {len(cell.tasks)} tasks"
        lines.append([cell.method_label, cell.facts.label, cell.spec.seed, len(cell.tasks), state])
    print(tabulate(lines, ["method", "facts", "seed", "tasks", "state"]))
    print(f"\nmodel {order.located.source.name}; results in {order.output}/; nothing was run")
    return 0
