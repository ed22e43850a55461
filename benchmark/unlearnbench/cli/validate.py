"""`unlearnbench validate`: is everything that would be asked fit to be asked?"""

import argparse
from pathlib import Path
from typing import Any

from unlearnbench.cli.asking import Asked, add_asked, asked


def add_to(verbs: Any) -> None:
    """Declare the verb and its options."""
    verb = verbs.add_parser("validate", help="render items of each task and check prompts, tokens, splits and hashes")
    add_asked(verb)
    verb.add_argument("--items", type=int, default=3, help="facts of each part that are rendered (default 3)")
    verb.add_argument("--include", type=Path, action="append", help="folder with your own methods, tasks or facts")
    verb.set_defaults(perform=perform)


def perform(chosen: argparse.Namespace) -> int:
    """Print one line for each fact set and task, and every problem; exit 1 where there is one."""
    count = 0
    for one in asked(chosen):
        count += _validated(one, chosen.items)
    print(f"\n{count} problems" if count else "\nno problems")
    return 1 if count else 0


def _validated(one: Asked, items: int) -> int:
    from unlearnbench.rendering import render
    from unlearnbench.validation import Problem, problems_of_split, problems_of_task

    model, retain = one.runner.model, one.runner.retain
    print(f"{one.facts.label} on {one.runner.source.name}: items {one.split.items_hash}")
    for what, number in one.facts.counts().items():
        print(f"  {number:>7,} {what}")
    found: list[Problem] = list(problems_of_split(model, one.facts.label, one.split))
    for name, task in one.tasks.items():
        rendered = render(model, name, task, one.split, retain, items)
        mine = list(problems_of_task(model, name, task, one.split, rendered))
        digests = "".join(f", {what} {digest}" for what, digest in task.inputs().items())
        print(f"  {'PROBLEM' if mine else 'ok     '} {name} v{task.version}: {len(rendered)} items rendered{digests}")
        found += mine
    for problem in found:
        print(f"  {problem.where}: {problem.what}")
    return len(found)
