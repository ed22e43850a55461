"""What verbs look at before anything is run: one fact set on one model, and the tasks that are asked of it."""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unlearnbench.cli.grammar import Words
from unlearnbench.cli.run import add_model_options
from unlearnbench.errors import UsageError
from unlearnbench.factset import FactSet
from unlearnbench.include import include

if TYPE_CHECKING:
    from unlearnbench.asking.task import Task
    from unlearnbench.facts import Split
    from unlearnbench.model.model import Model


@dataclass(frozen=True)
class Asked:
    """One fact set on one model, and the tasks that are asked of it."""

    model: "Model"
    facts: FactSet
    split: "Split"
    tasks: "Mapping[str, Task]"


def add_asked(verb: argparse.ArgumentParser, items: int) -> None:
    """Declare --model, --facts, --tasks and what belongs to them."""
    add_model_options(verb)
    verb.add_argument("--facts", nargs="+", action=Words, metavar="F", help="sports:people-64 …")
    verb.add_argument("--tasks", "-t", nargs="+", action=Words, help="as for run (default: quick)")
    verb.add_argument("--side_effects", nargs="+", action=Words, metavar="T", help="as for run")
    verb.add_argument("--seed", type=int, default=0, help="of the split (default 0)")
    verb.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 … (default cpu)")
    verb.add_argument("--items", type=int, default=items, help=f"of each subset of each task (default {items})")


def asked(chosen: argparse.Namespace) -> Iterator[Asked]:
    """Every fact set; raises `UsageError` for words that fit nothing."""
    from unlearnbench.model.loading import load
    from unlearnbench.model.source import locate
    from unlearnbench.running.knowledge import informed
    from unlearnbench.running.order import refuse_untold
    from unlearnbench.running.plan import refuse_seed
    from unlearnbench.running.words import parse_facts, parse_tasks, side_effects

    for folder in chosen.include or ():
        include(folder)
    if not chosen.facts:
        raise UsageError("nothing is said about facts", "say --facts sports:people-64, for example")
    if chosen.items < 1:
        raise UsageError(f"--items must be 1 or more, not {chosen.items}")
    refuse_seed(chosen.seed)
    located = locate(chosen.model or "tiny", chosen.model_args or {}, chosen.retain_text)
    named = [parse_facts(word, chosen.facts_file) for word in chosen.facts]
    for one in named:
        refuse_untold(one, located)
    facts = [informed(one, located, chosen.device) for one in named]
    words = [*(chosen.tasks or [f"{one.name}/quick" for one in facts]), *side_effects(chosen.side_effects or ())]
    tasks = parse_tasks(words, facts, located.source)
    model = load(located, chosen.device)
    for fact_set, mine in zip(facts, tasks, strict=True):
        yield Asked(model, fact_set, fact_set.split(chosen.seed), mine)
