"""`unlearnbench known`: which facts does each of several models know?"""

import argparse
import sys
from pathlib import Path
from typing import Any

from unlearnbench.cli.grammar import Pairs, Words
from unlearnbench.errors import UsageError


def add_to(verbs: Any) -> None:
    """Declare the verb and its options."""
    verb = verbs.add_parser("known", help="write the facts that several models know, to compare them on")
    verb.add_argument("--models", nargs="+", action=Words, metavar="NAME|FOLDER", help="two or more, as pretrained=")
    verb.add_argument(
        "--model_args", "-a", nargs="+", action=Pairs, metavar="K=V", help="for all of them: dtype=, chat_template= …"
    )
    verb.add_argument("--facts", default="counterfact:64", metavar="F", help="real facts (default counterfact:64)")
    verb.add_argument("--facts_file", help="your own facts, as for run")
    verb.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 … (default cpu)")
    verb.add_argument("--output", "-o", type=Path, required=True, metavar="FILE", help="for counterfact:64[among=FILE]")
    verb.set_defaults(perform=perform, resumes=True)


def perform(chosen: argparse.Namespace) -> int:
    """Ask each model what those before it know, and write what is left."""
    from unlearnbench.model.source import locate
    from unlearnbench.running.common import known_to_all, written
    from unlearnbench.running.loop import check_writable
    from unlearnbench.running.words import parse_facts, word_with

    if len(chosen.models or ()) < 2:
        raise UsageError("--models names fewer than two", "a single model's knowledge is looked at by `run` itself")
    facts = parse_facts(chosen.facts, chosen.facts_file)
    shared = dict(chosen.model_args or {})
    if "pretrained" in shared:
        raise UsageError("pretrained= is said by --models", "leave it out of --model_args")
    located = [locate("hf", {**shared, "pretrained": name}, "world") for name in chosen.models]
    check_writable(chosen.output.parent)

    def told_of(name: str, left: int) -> None:
        print(f"{name}: {left:,} known to all so far", file=sys.stderr)

    found = known_to_all(facts, located, chosen.device, told_of)
    path = written(found, facts, chosen.output)
    file = f" --facts_file {chosen.facts_file}" if chosen.facts_file else ""
    print(f'{len(found.ids):,} facts in {path}: --facts "{word_with(chosen.facts, {"among": str(path)})}"{file}')
    return 0
