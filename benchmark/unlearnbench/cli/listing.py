"""`unlearnbench ls`: what there is to name."""

import argparse
import json
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from unlearnbench import registry
from unlearnbench.asking.task import Task
from unlearnbench.described import described
from unlearnbench.factset import FactSet
from unlearnbench.include import include
from unlearnbench.model.shipped import oracles, organism_overlays, organisms
from unlearnbench.model.source import locate
from unlearnbench.model.taught import taught
from unlearnbench.registry import Catalogue, about
from unlearnbench.running import suites
from unlearnbench.running.words import beside_facts, tasks_for

Listed = tuple[str, str, type | None]
"""A name, the sentence about it, and the class whose settings it has."""


def add_to(verbs: Any) -> None:
    """Declare the verb and its options."""
    verb = verbs.add_parser("ls", help="list methods and their parts, tasks, facts, models or suites")
    verb.add_argument("kind", choices=list(LISTS))
    verb.add_argument("--settings", action="store_true", help="show what can be set: type, default, sentence")
    verb.add_argument("--format", choices=["text", "json"], default="text")
    verb.add_argument("--include", type=Path, action="append", help="folder with your own entries (see CONTRIBUTING)")
    verb.set_defaults(perform=perform)


def perform(chosen: argparse.Namespace) -> int:
    """Print the names, one sentence each, and what could not be imported."""
    for folder in chosen.include or ():
        include(folder)
    found = LISTS[chosen.kind]()
    broken = {label: error for c in registry.CATALOGUES for label, error in c.broken.items()}
    if chosen.format == "json":
        shown = [{"name": n, "about": a, **_settings_as_data(entry, chosen.settings)} for n, a, entry in found]
        print(json.dumps({"found": shown, "broken": broken}, indent=1, ensure_ascii=False))
        return 0
    width = max((len(name) for name, _, _ in found), default=0)
    for name, sentence, entry in found:
        print(f"{name:{width}}  {sentence}")
        if chosen.settings and entry is not None:
            _print_settings(entry)
    for label, error in broken.items():
        print(f"broken: {label}: {error}")
    return 0


def _print_settings(entry: type) -> None:
    for setting in described(entry):
        print(f"    {setting.name}: {setting.kind} = {setting.default}")
        print(textwrap.fill(setting.about, 110, initial_indent=" " * 8, subsequent_indent=" " * 8))


def _settings_as_data(entry: type | None, wanted: bool) -> dict[str, Any]:
    return {"settings": [setting._asdict() for setting in described(entry)]} if wanted and entry is not None else {}


def _entries(catalogue: Catalogue) -> Callable[[], list[Listed]]:
    return lambda: [(name, about(entry), entry) for name, entry in catalogue.items()]


def _tasks() -> list[Listed]:
    source = locate(organisms()[0], {}, None).source
    sets = [entry(entry.variants[0]) for _, entry in _fact_sets()]
    listed = [(name, task) for facts in sets for name, task in tasks_for(facts, source).items()]
    return [(name, about(task), task) for name, task in (*listed, *_beside())]


def _beside() -> list[tuple[str, type[Task]]]:
    """Tasks about no facts; where one is many, what its names look like."""
    return [(f"{name}/NAME" if task.one_of else name, task) for name, task in beside_facts().items()]


def _facts() -> list[Listed]:
    """Every variant; the settings of a fact set, which all its variants have, stand under the first."""
    return [
        (f"{name}:{variant}", about(entry), entry if variant == entry.variants[0] else None)
        for name, entry in _fact_sets()
        for variant in entry.variants
    ]


def _fact_sets() -> list[tuple[str, type[FactSet]]]:
    return list(registry.fact_sets.items())


def _models() -> list[Listed]:
    shipped = [(name, f"embedded organism; {_reference(name)}", None) for name in organisms()]
    return [*shipped, ("hf", "any Hugging Face causal LM: --model_args pretrained=google/gemma-2-2b", None)]


def _reference(organism: str) -> str:
    overlays = organism_overlays(organism)
    lesson = taught(overlays[-1]) if overlays else None
    if lesson is None:
        return f"oracles for {', '.join(oracles(organism))}"
    where = " and again into ".join(lesson.where)
    return f"{', '.join(lesson.facts)} taught later into {where}; the model before is their oracle"


def _suites() -> list[Listed]:
    return [(name, suites.load_suite(name).about, None) for name in suites.suites()]


LISTS: dict[str, Callable[[], list[Listed]]] = {
    "methods": _entries(registry.methods),
    "localizers": _entries(registry.localizers),
    "objectives": _entries(registry.objectives),
    "adversaries": _entries(registry.adversaries),
    "tasks": _tasks,
    "facts": _facts,
    "models": _models,
    "suites": _suites,
}
