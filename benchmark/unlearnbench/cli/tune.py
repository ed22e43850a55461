"""`unlearnbench tune`: try every method with the same number of settings, and keep what is best by one rule."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unlearnbench.cli.grammar import Words
from unlearnbench.cli.progress import Progress
from unlearnbench.cli.run import add_model_options
from unlearnbench.errors import UsageError
from unlearnbench.include import include

if TYPE_CHECKING:
    from unlearnbench.factset import FactSet
    from unlearnbench.model.source import Located

SEED = 1000


def add_to(verbs: Any) -> None:
    """Declare the verb and its options."""
    verb = verbs.add_parser(
        "tune", help="choose settings for methods: nine trials for each, one rule, T and maintain-dev only"
    )
    add_model_options(verb)
    verb.add_argument("--facts", required=True, metavar="F", help="what to forget: sports:people-64 …")
    verb.add_argument("--methods", "-m", nargs="+", action=Words, required=True, help="names, or name[setting=value,…]")
    verb.add_argument("--seed", type=int, default=SEED, help=f"of the split that is tuned on (default {SEED})")
    verb.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 … (default cpu)")
    verb.add_argument("--output", "-o", type=Path, required=True, metavar="FILE", help="as `run --tuned FILE` takes it")
    verb.set_defaults(perform=perform)


def perform(chosen: argparse.Namespace) -> int:
    """Do the missing trials; the same command resumes."""
    from unlearnbench.model.source import locate
    from unlearnbench.running.claim import claimed
    from unlearnbench.running.loop import check_writable
    from unlearnbench.running.words import parse_facts

    for folder in chosen.include or ():
        include(folder)
    facts = parse_facts(chosen.facts, chosen.facts_file)
    located = locate(chosen.model or "tiny", chosen.model_args or {}, chosen.retain_text)
    check_writable(chosen.output.parent)
    with claimed(chosen.output.parent, chosen.output.name, wait=False) as ours:
        if not ours:
            raise UsageError(f"another command is tuning into {chosen.output}", "wait for it, or name another --output")
        return _tune(chosen, facts, located)


def _tune(chosen: argparse.Namespace, facts: "FactSet", located: "Located") -> int:
    """Do the missing trials, and show what was chosen."""
    from unlearnbench.running.localizing import Search
    from unlearnbench.running.threads import using_threads
    from unlearnbench.running.tuned_file import front, read_tuned
    from unlearnbench.running.tuning import left, planned, tune

    before = read_tuned(chosen.output) if chosen.output.exists() else None
    if before is not None:
        here = {"weights_sha256": located.source.weights_sha256, "facts": facts.label, "seed": chosen.seed}
        for key, value in here.items():
            if (there := getattr(before, key)) != value:
                raise UsageError(f"{chosen.output} is of {key} {there}, and this is {value}", "name another --output")
    search = Search(located, facts, chosen.seed, device=chosen.device, threads=chosen.threads)
    plans = planned(search, chosen.methods)
    todo = left(plans, before)
    print(f"{todo} trials to do", file=sys.stderr)
    with using_threads(), Progress(todo) as progress:
        found = tune(search, plans, chosen.output, before, progress)
    from tabulate import tabulate

    rows = []
    for one in found.methods:
        at = front(one.trials)
        shown = ", ".join(f"{one.trials[n].known:.2f}/{one.trials[n].kept:.2f}" for n in at)
        rows.append([one.method, one.chosen or "none is valid", "yes" if one.within else "no", len(one.trials), shown])
    print(f"model {found.model} · facts {found.facts} · seed {found.seed} · kept before {found.kept_before:.2f}\n")
    print(tabulate(rows, ["method", "chosen", "within the bound", "trials", "front (T known/maintain-dev kept)"]))
    return 0
