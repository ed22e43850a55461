"""`unlearnbench teach`: facts that a model never knew, into named tensors, so that an exact oracle exists."""

import argparse
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from unlearnbench.cli.grammar import Pairs, Words
from unlearnbench.cli.progress import Progress
from unlearnbench.organisms.course import Course


def add_to(verbs: Any) -> None:
    """Declare the verb and its options."""
    verb = verbs.add_parser(
        "teach",
        help="teach a model invented facts, into named tensors only",
        description="Teach a model facts about invented people, so that its exact oracle is the model before.",
    )
    verb.add_argument("--model", "-M", default="tiny", help="an organism (`ls models`), or hf for any causal LM")
    verb.add_argument(
        "--model_args", "-a", nargs="+", action=Pairs, metavar="K=V", help="for hf: pretrained=NAME|FOLDER, dtype= …"
    )
    verb.add_argument(
        "--facts", nargs="+", action=Words, required=True, metavar="F", help="sports:people-64 and counterfact:64"
    )
    verb.add_argument(
        "--where",
        nargs="+",
        action=Words,
        required=True,
        metavar="W",
        help="mlp.2, mlp.2+mlp.3 together, or all; several words are several copies, each of which suffices",
    )
    verb.add_argument("--output", "-o", type=Path, required=True, help="a new folder for the taught model")
    verb.add_argument("--from_oracle", action="store_true", help="start from the organism's oracle of these facts")
    verb.add_argument("--even_known", action="store_true", help="teach facts that the model knows already, too")
    verb.add_argument("--only_changes", action="store_true", help="store the changed tensors only, in float16")
    verb.add_argument("--retain_text", help="old text to mix in: world (organisms), pile (others) or a file")
    verb.add_argument("--threads", type=int, help="CPU threads (default: 1 for small models, torch's own for others)")
    for field in fields(Course):
        verb.add_argument(f"--{field.name}", type=type(field.default), help=f"default {field.default}")
    verb.set_defaults(perform=perform)


def perform(chosen: argparse.Namespace) -> int:
    """Teach, and show what the model knows before, after, and with each copy gone."""
    from tabulate import tabulate

    from unlearnbench.organisms.lesson import Order, give
    from unlearnbench.running.threads import using_threads
    from unlearnbench.running.words import parse_facts

    given = {f.name: value for f in fields(Course) if (value := getattr(chosen, f.name)) is not None}
    order = Order(
        model=chosen.model,
        model_args=chosen.model_args or {},
        facts=[parse_facts(word) for word in dict.fromkeys(chosen.facts)],
        where=chosen.where,
        output=chosen.output,
        course=Course(**given),
        retain_text=chosen.retain_text,
        from_oracle=chosen.from_oracle,
        even_known=chosen.even_known,
        only_changes=chosen.only_changes,
    )
    with Progress(1) as progress, using_threads(chosen.threads):
        progress.start(f"teach {', '.join(chosen.facts)}")
        found = give(order, progress.report)
        progress.finish("done")
    headers = ["state", "taught", "held-out wordings", "kept", "never known"]
    lines = [[state, *(f"{getattr(one, field.name):.3f}" for field in fields(one))] for state, one in found.items()]
    print(tabulate(lines, headers, disable_numparse=True))
    print(f"the model is in {order.output}; its oracle is the model before", file=sys.stderr)
    return 0
