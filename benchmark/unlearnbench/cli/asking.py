"""The options that say what is asked of which model, for verbs that look before anything is run."""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unlearnbench import registry
from unlearnbench.cli.grammar import Pairs, Words
from unlearnbench.errors import UsageError
from unlearnbench.factset import FactSet
from unlearnbench.knowledge import known_by_all
from unlearnbench.source import locate_all
from unlearnbench.split import Split

if TYPE_CHECKING:
    from unlearnbench.runner import Runner
    from unlearnbench.task import Task


@dataclass(frozen=True)
class Asked:
    """One fact set on one model, and the tasks that are asked of it."""

    runner: "Runner"
    facts: FactSet
    split: Split
    tasks: "Mapping[str, Task]"


def add_asked(verb: argparse.ArgumentParser) -> None:
    """Declare --model, --facts, --tasks and what belongs to them."""
    verb.add_argument("--model", "-M", default="tiny", help="as for run (default tiny)")
    verb.add_argument("--model_args", "-a", nargs="+", action=Pairs, metavar="K=V", help="as for run")
    verb.add_argument("--facts", nargs="+", action=Words, metavar="F", help="sports:athletes-64 …")
    verb.add_argument("--facts_file", help="your own facts in the fact set's format")
    verb.add_argument("--tasks", "-t", nargs="+", action=Words, help="as for run (default: all tasks of the facts)")
    verb.add_argument("--retain_text", help="world, pile or a file with one text per line (default: the model's)")
    verb.add_argument("--seed", type=int, default=0, help="of the split (default 0)")
    verb.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 … (default cpu)")


def asked(chosen: argparse.Namespace) -> Iterator[Asked]:
    """Every fact set on every model; raises `UsageError` for words that fit nothing."""
    for folder in chosen.include or ():
        registry.include(folder)
    if not chosen.facts:
        raise UsageError("--facts is missing", f"there is {', '.join(registry.fact_sets)}")
    if chosen.items < 1:
        raise UsageError(f"--items must be 1 or more, not {chosen.items}")
    from unlearnbench.plan import parse_facts, parse_tasks
    from unlearnbench.runner import Runner

    located = locate_all(chosen.model, chosen.model_args or {}, chosen.retain_text)
    runners = [Runner(one, chosen.device) for one in located]
    facts = [[parse_facts(word, r.source, chosen.facts_file) for word in chosen.facts] for r in runners]
    for runner, known in zip(runners, known_by_all(runners, facts, batch_size=64), strict=True):
        words = chosen.tasks or [fact_set.name for fact_set in known]
        for fact_set, tasks in zip(known, parse_tasks(words, known, runner.source), strict=True):
            yield Asked(runner, fact_set, fact_set.split(chosen.seed), tasks)
        runner.release()
