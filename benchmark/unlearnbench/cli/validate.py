"""`unlearnbench validate`: is everything that would be asked fit to be asked?"""

import argparse
from typing import Any

from unlearnbench.cli.asked import Asked, add_asked, asked
from unlearnbench.facts import SUBSETS


def add_to(verbs: Any) -> None:
    """Declare the verb and its options."""
    verb = verbs.add_parser("validate", help="render items of each task and check prompts, tokens, splits and hashes")
    add_asked(verb, 3)
    verb.set_defaults(perform=perform)


def perform(chosen: argparse.Namespace) -> int:
    """Print one line for each fact set and task, and every problem; exit 1 where there is one."""
    count = sum(_validated(one, chosen.items) for one in asked(chosen))
    print(f"\n{count} problem{'s' if count > 1 else ''}" if count else "\nno problems")
    return 1 if count else 0


def _validated(one: Asked, items: int) -> int:
    from unlearnbench.running.validation import Problem, problems_of_split, problems_of_task

    counts = ", ".join(f"{len(one.split.facts(subset))} {subset}" for subset in SUBSETS)
    print(f"{one.facts.word}: {counts}\n  items {one.split.items_hash}")
    for what, number in one.facts.counts.items():
        print(f"  {number:>7,} {what}")
    for warning in one.facts.warnings:
        print(f"  warning: {warning}")
    if one.facts.file_sha256:
        print(f"  file  {one.facts.file_sha256}")
    found = list(problems_of_split(one.model, one.facts.label, one.split))
    for name, task in one.tasks.items():
        try:
            rendered = task.items(one.model, one.split, items)
            mine = list(problems_of_task(one.model, name, task, one.split, rendered))
        except Exception as error:  # whatever a template or a file may bring: the other tasks are looked at, too
            rendered, mine = [], [Problem(name, f"it cannot be rendered: {error}")]
        state = "PROBLEM" if mine else "ok     " if rendered else "–      "
        said = f"{len(rendered)} items rendered" if rendered else "no items of its own"
        print(f"  {state} {name} v{task.version}: {said}, {task.items_hash(one.split)[:19]}")
        found += mine
    for problem in found:
        print(f"  {problem.where}: {problem.what}")
    return len(found)
