"""`unlearnbench repeat RECORD`: run a record again, and say whether the same came out."""

import argparse
import sys
from pathlib import Path
from typing import Any

from unlearnbench.cli.given import add_given, given_of
from unlearnbench.include import include


def add_to(verbs: Any) -> None:
    """Declare the verb and its options."""
    verb = verbs.add_parser("repeat", help="run a record again and compare the results")
    verb.add_argument("record", type=Path, help="a run's folder or its result.json")
    add_given(verb)
    verb.add_argument("--include", type=Path, action="append", help="folder with the entries that the record names")
    verb.set_defaults(perform=perform)


def perform(chosen: argparse.Namespace) -> int:
    """Repeat, compare, and exit 0 where the same came out, 1 where not."""
    from unlearnbench.running.repeat import repeat

    for folder in chosen.include or ():
        include(folder)
    found = repeat(chosen.record, given_of(chosen))
    for name in found.changed:
        print(f"note: {name} is not what it was when the record was made", file=sys.stderr)
    print(f"recorded  {found.recorded.identity.result_hash}")
    print(f"repeated  {found.repeated.identity.result_hash}")
    if found.difference:
        print(f"different: {found.difference}")
        return 1
    print("the same result" if not found.changed else "the same numbers, of a specification that is not the same")
    return 0
