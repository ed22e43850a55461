"""`unlearnbench ls`: what there is to name."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from unlearnbench import registry
from unlearnbench.errors import UnknownName
from unlearnbench.facts import FactSet
from unlearnbench.model.shipped import oracles, organisms
from unlearnbench.running import suites
from unlearnbench.settings import described


def add_to(verbs: Any) -> None:
    """Declare the verb and its options."""
    verb = verbs.add_parser("ls", help="list methods, tasks, facts, models or suites")
    verb.add_argument("kind", choices=list(LISTS))
    verb.add_argument("--settings", action="store_true", help="with methods or tasks: show what can be set")
    verb.add_argument("--format", choices=["text", "json"], default="text")
    verb.add_argument("--include", type=Path, action="append", help="folder with your own methods, tasks or facts")
    verb.set_defaults(perform=perform)


def perform(chosen: argparse.Namespace) -> int:
    """Print the names, one sentence each, and what could not be imported."""
    for folder in chosen.include or ():
        registry.include(folder)
    found = LISTS[chosen.kind]()
    broken = {place: error for c in registry.CATALOGUES for place, error in c.broken.items()}
    if chosen.format == "json":
        print(json.dumps({"found": [{"name": n, "about": a} for n, a in found], "broken": broken}, indent=1))
        return 0
    width = max((len(name) for name, _ in found), default=0)
    for name, about in found:
        print(f"{name:{width}}  {about}")
        for setting in _settings(chosen.kind, name) if chosen.settings else ():
            print(f"{'':{width}}    {setting}")
    for place, error in broken.items():
        print(f"broken: {place}: {error}")
    return 0


def _about(entry: type) -> str:
    return (entry.__doc__ or "").strip().splitlines()[0]


def _settings(kind: str, name: str) -> list[str]:
    """What can be set of a method or a task: `name: type = default`."""
    if kind not in ("methods", "tasks"):
        return []
    entry = registry.methods[name] if kind == "methods" else registry.questions[name.rpartition("/")[2]]
    if kind == "methods" and not entry.trains:  # type: ignore[attr-defined]
        return []
    return [f"{setting}: {type_name} = {default}" for setting, type_name, default in described(entry)]


def _methods() -> list[tuple[str, str]]:
    return [(name, _about(entry)) for name, entry in registry.methods.items()]


def _tasks() -> list[tuple[str, str]]:
    found = []
    for facts, entry in _fact_sets():
        for question in entry.questions:
            try:
                found.append((f"{facts}/{question}", _about(registry.questions[question])))
            except UnknownName as error:
                registry.questions.broken[f"{facts}/{question}"] = str(error)
    return found


def _facts() -> list[tuple[str, str]]:
    return [(f"{name}:{variant}", _about(entry)) for name, entry in _fact_sets() for variant in entry.variants]


def _fact_sets() -> list[tuple[str, type[FactSet]]]:
    return list(registry.fact_sets.items())


def _models() -> list[tuple[str, str]]:
    shipped = [(name, f"embedded organism; oracles for {', '.join(oracles(name))}") for name in organisms()]
    return [*shipped, ("hf", "any Hugging Face causal LM: --model_args pretrained=google/gemma-2-2b")]


def _suites() -> list[tuple[str, str]]:
    return [(name, suites.load_suite(name).about) for name in suites.suites()]


LISTS: dict[str, Callable[[], list[tuple[str, str]]]] = {
    "methods": _methods,
    "tasks": _tasks,
    "facts": _facts,
    "models": _models,
    "suites": _suites,
}
