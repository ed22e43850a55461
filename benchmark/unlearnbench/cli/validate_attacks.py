"""`unlearnbench validate-attacks`: are attacks and metrics to be believed?"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unlearnbench import registry
from unlearnbench.asking.task import Task
from unlearnbench.cli.grammar import STYLES, Words, whole_numbers
from unlearnbench.cli.progress import Progress
from unlearnbench.include import include
from unlearnbench.records.any_attack import Found, any_attack, key_of
from unlearnbench.records.case import Case
from unlearnbench.records.record import MetricResult, Record, metric_of
from unlearnbench.running.known_answers import FACTS, HIDERS, KnownAnswer, changed_afterwards, known_answers

if TYPE_CHECKING:
    from unlearnbench.running.loop import Outcome
    from unlearnbench.running.order import Order

ABOUT = """\
Asks attacks and metrics of models of which it is known whether they have the facts: the base and the oracle of
embedded models, and both after the same changes that hide facts and remove none (a suppressor of small rank, the last
MLP retrained, a junk direction, one of two copies edited). An attack that finds what is not there, or that destroys
what is, is invalid; the tables say which ways of hiding each one sees through, and how well each number tells models
that have the facts from models that lack them. All of it takes an hour on one core (60 models, and 12 that are
relearned or rounded in the end); it can be interrupted, and is an ordinary results folder.
"""


def add_to(verbs: Any) -> None:
    """Declare the verb and its options."""
    verb = verbs.add_parser(
        "validate-attacks",
        help="test attacks and metrics on models of which it is known whether they have the facts",
        description=ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verb.add_argument("--models", nargs="+", action=Words, help=f"organisms (default {', '.join(HIDERS)})")
    verb.add_argument("--tasks", "-t", nargs="+", action=Words, help="sports/my_attack … (default sports)")
    verb.add_argument("--seeds", nargs="+", type=whole_numbers, help="0,1,2 or 0-4 (default 0,1,2)")
    verb.add_argument("--no_afterwards", action="store_true", help="no models that are relearned or rounded in the end")
    verb.add_argument("--include", type=Path, action="append", help="folder with your own entries (see CONTRIBUTING)")
    verb.add_argument("--threads", type=int, help="CPU threads (default: 1 for small models)")
    verb.add_argument("--format", choices=["table", "markdown", "json"], default="table")
    verb.add_argument("--output_path", "-o", type=Path, default=Path("results/attacks"), help="default results/attacks")
    verb.add_argument("--dry_run", action="store_true", help="say what would be done and what is done already")
    verb.set_defaults(perform=perform)


def perform(chosen: argparse.Namespace) -> int:
    """Do what is missing, and print the tables; exit 1 where a run failed."""
    from unlearnbench.running.loop import missing
    from unlearnbench.running.loop import perform as perform_order

    for folder in chosen.include or ():
        include(folder)
    models = chosen.models or list(HIDERS)
    seeds = [seed for seeds in chosen.seeds or [[0, 1, 2]] for seed in seeds]
    wanted = [(known_answers([model]), seeds) for model in models]
    wanted += [(changed_afterwards([model]), seeds[:1]) for model in models] if not chosen.no_afterwards else []
    orders = [(known, _order(chosen, known, mine)) for known, mine in wanted if known]
    todo = [missing(order) for _, order in orders]
    count = sum(len(order.cells) for _, order in orders)
    print(f"{count - sum(map(len, todo))} of {count} runs are already in {chosen.output_path}/", file=sys.stderr)
    if chosen.dry_run:
        for (_, order), cells in zip(orders, todo, strict=True):
            print("\n".join(f"to do: {order.located.source.name} · {cell.label}" for cell in cells))
        return 0
    cases: list[Case] = []
    failures: list[str] = []
    with Progress(sum(map(len, todo))) as progress:
        for (known, order), cells in zip(orders, todo, strict=True):
            outcome = perform_order(order, cells, progress, debug=chosen.debug)
            failures += outcome.failures
            cases += _cases(known, outcome)
    print(_told(cases, chosen.format))
    for failure in failures:
        print(f"failed: {failure}", file=sys.stderr)
    return 1 if failures else 0


def _order(chosen: argparse.Namespace, known: Sequence[KnownAnswer], seeds: Sequence[int]) -> Order:
    """The runs of one organism."""
    from unlearnbench.running.order import Request, ordered

    return ordered(
        Request(
            model=known[0].model,
            methods=[one.method for one in known],
            facts=[FACTS],
            tasks=chosen.tasks or [FACTS.partition(":")[0]],
            seeds=seeds,
            threads=chosen.threads,
            output_path=chosen.output_path,
        )
    )


def _cases(known: Sequence[KnownAnswer], outcome: Outcome) -> list[Case]:
    """What was found out about each model; nothing about one that is no result."""
    from unlearnbench.leaderboard.standings import ANY
    from unlearnbench.leaderboard.validity import ANY_QUICK
    from unlearnbench.running.words import parse_method
    from unlearnbench.settings import word_of

    by_label = {word_of(parse_method(one.method)): one for one in known}
    found = []
    for record in outcome.records:
        one, metrics = by_label[record.label], _metrics(record)
        says = {name: metric.value for name, metric in metrics.items()}
        says |= _together(record, outcome.attacks[record.identity.record_hash])
        attacks = {name for name, metric in metrics.items() if metric.name == "recovery"}
        found.append(
            Case(
                model=one.model,
                way=one.way,
                knows=one.knows,
                seed=record.spec.seed,
                afterwards=one.afterwards,
                says=says,
                attacks=frozenset({*attacks, ANY, ANY_QUICK}),
                invalid=record.invalid_reason,
            )
        )
    return found


def _together(record: Record, made: Mapping[str, Found]) -> dict[str, float]:
    """What any attack finds, and any of the quick ones."""
    from unlearnbench.leaderboard.standings import ANY
    from unlearnbench.leaderboard.validity import ANY_QUICK

    quick = [key_of(one.spec) for one in record.tasks if _battery(one.spec.name) == "quick"]
    groups = {ANY: list(made.values()), ANY_QUICK: [made[key] for key in quick if key in made]}
    found = {name: any_attack(group) for name, group in groups.items() if len(group) > 1}
    return {name: one.value for name, one in found.items() if one is not None}


def _battery(task: str) -> str:
    entry: type[Task] = registry.tasks[task.rpartition("/")[2]]
    return entry.battery


def _metrics(record: Record) -> dict[str, MetricResult]:
    """What each task says of the forgotten facts; what it says of others is not to tell models apart."""
    primary = {one.spec.name: metric_of(one) for one in record.tasks}
    return {name: metric for name, metric in primary.items() if metric and metric.axis in ("forget", "robust")}


def _told(cases: Sequence[Case], style: str) -> str:
    from unlearnbench.leaderboard.validity_table import as_json, render

    return as_json(cases) if style == "json" else render(cases, STYLES[style])
