"""`unlearnbench show-method WORD`: everything that a word for a method resolves to."""

import argparse
import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from unlearnbench.described import described
from unlearnbench.include import include
from unlearnbench.model.source import locate
from unlearnbench.registry import Entry, about
from unlearnbench.running.words import parse_method
from unlearnbench.settings import defaults_of, parts_of, settings_of, word_of


class Shown(NamedTuple):
    """One entry of the tree that a method is."""

    depth: int
    axis: str
    """`method`, or the field of which it is a part: `localizer`."""
    entry: Entry


def add_to(verbs: Any) -> None:
    """Declare the verb and its options."""
    verb = verbs.add_parser("show-method", help="print what a word for a method resolves to, with all settings")
    verb.add_argument("word", help="name or name[setting=value,…]")
    verb.add_argument("--model", "-M", default="tiny", help="the organism for which it is resolved (default tiny)")
    verb.add_argument("--format", choices=["text", "json"], default="text")
    verb.add_argument("--include", type=Path, action="append", help="folder with your own entries (see CONTRIBUTING)")
    verb.set_defaults(perform=perform)


def perform(chosen: argparse.Namespace) -> int:
    """Print the method and its parts, each with what it is and with all of its settings."""
    for folder in chosen.include or ():
        include(folder)
    method = parse_method(chosen.word).resolved(locate(chosen.model, {}, None).source)
    if chosen.format == "json":
        print(json.dumps(_as_data(method), indent=1, ensure_ascii=False))
        return 0
    for shown in _tree("method", method):
        indent = "  " * shown.depth
        print(f"{indent}{shown.axis} {shown.entry.name}: {about(type(shown.entry))}")
        usual, parts = defaults_of(shown.entry), parts_of(shown.entry)
        for setting in described(type(shown.entry)):
            if setting.name not in parts:
                value = getattr(shown.entry, setting.name)
                mark = "" if value == usual[setting.name] else f" (not {usual[setting.name]})"
                print(f"{indent}    {setting.name} = {value}{mark}")
                print(
                    textwrap.fill(
                        setting.about, 110, initial_indent=f"{indent}        ", subsequent_indent=indent + " " * 8
                    )
                )
    print(f"\nword: {word_of(method)}")
    return 0


def _tree(axis: str, entry: Entry, depth: int = 0) -> Iterator[Shown]:
    yield Shown(depth, axis, entry)
    for name, part in parts_of(entry).items():
        yield from _tree(name, part, depth + 1)


def _as_data(entry: Entry) -> dict[str, Any]:
    parts = {name: _as_data(part) for name, part in parts_of(entry).items()}
    return {"name": entry.name, "about": about(type(entry)), "settings": settings_of(entry), "parts": parts}
