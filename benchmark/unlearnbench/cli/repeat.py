"""`unlearnbench repeat RECORD`: run a record again, and say whether the same came out."""

import argparse
import sys
from pathlib import Path
from typing import Any

from unlearnbench.cli.grammar import Pairs
from unlearnbench.include import include


def add_to(verbs: Any) -> None:
    """Declare the verb and its options."""
    verb = verbs.add_parser("repeat", help="run a record again and compare the results")
    verb.add_argument("record", type=Path, help="a run's folder or its result.json")
    verb.add_argument(
        "--model_args", "-a", nargs="+", action=Pairs, metavar="K=V", help="where the model is: pretrained=FOLDER"
    )
    verb.add_argument(
        "--method_args",
        nargs="+",
        action=Pairs,
        metavar="K=V",
        help="paths that its method was given",
    )
    verb.add_argument(
        "--facts_args", nargs="+", action=Pairs, metavar="K=V", help="paths that its facts were given: among=FILE"
    )
    verb.add_argument(
        "--task_args", nargs="+", action=Pairs, metavar="K=V", help="paths that its tasks were given: folder=FOLDER"
    )
    verb.add_argument("--facts_file", help="the user's own facts that the record is about")
    verb.add_argument("--retain_text", help="the file of retain text that the record is about")
    verb.add_argument("--threads", type=int, help="CPU threads (default: 1 for small models, torch's own for others)")
    verb.add_argument("--include", type=Path, action="append", help="folder with the entries that the record names")
    verb.set_defaults(perform=perform)


def perform(chosen: argparse.Namespace) -> int:
    """Repeat, compare, and exit 0 where the same came out, 1 where not."""
    from unlearnbench.running.repeat import repeat

    for folder in chosen.include or ():
        include(folder)
    found = repeat(
        chosen.record,
        model_args=chosen.model_args,
        method_args=chosen.method_args,
        facts_args=chosen.facts_args,
        task_args=chosen.task_args,
        facts_file=chosen.facts_file,
        retain_text=chosen.retain_text,
        threads=chosen.threads,
    )
    for name in found.changed:
        print(f"note: {name} is not what it was when the record was made", file=sys.stderr)
    print(f"recorded  {found.recorded.identity.result_hash}")
    print(f"repeated  {found.repeated.identity.result_hash}")
    if found.difference:
        print(f"different: {found.difference}")
        return 1
    print("the same result" if not found.changed else "the same numbers, of a specification that is not the same")
    return 0
