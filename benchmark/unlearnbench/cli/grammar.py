"""lm-eval's own command-line grammar: lists with commas or spaces, `key=value` pairs, either dash."""

import argparse
import difflib
import json
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from unlearnbench.errors import UsageError
from unlearnbench.words import read_pairs, split_commas

MOST_SEEDS = 10_000
STYLES = {"table": "simple", "markdown": "github"}
"""Of tables: what `tabulate` calls each `--format`."""


class Parser(argparse.ArgumentParser):
    """An argument parser that names the nearest option for a misspelt one."""

    def error(self, message: str) -> NoReturn:
        """Exit 2 with one line that says what is wrong and what would work."""
        unknown = re.search(r"unrecognized arguments: (--\S+)", message)
        if unknown:
            near = difflib.get_close_matches(unknown[1].split("=")[0], list(self._every_option()), n=1)
            message += f"\nhint: did you mean {near[0]}?" if near else ""
        self.exit(2, f"error: {message}\n")

    def _every_option(self) -> set[str]:
        found = set(self._option_string_actions)
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):
                for sub in action.choices.values():
                    found |= set(sub._option_string_actions)
        return found


class Words(argparse.Action):
    """`a,b c` as `['a', 'b', 'c']`; commas inside square brackets belong to the word."""

    def __call__(self, _parser: Any, namespace: Any, values: Any, _option: Any = None) -> None:
        """Append to what earlier uses of the option gave."""
        found = [word for value in values for word in split_commas(value)]
        setattr(namespace, self.dest, [*(getattr(namespace, self.dest) or []), *found])


class Pairs(argparse.Action):
    """`k=v,k=v`, `k=v k=v` or a JSON object, merged over repeated use."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option: Any = None) -> None:
        """Merge into what earlier uses of the option gave."""
        merged = dict(getattr(namespace, self.dest) or {})
        for value in values:
            if value.startswith("{"):
                try:
                    # As text, like the other spellings: what reads a setting knows its type.
                    merged |= {k: v if isinstance(v, str) else json.dumps(v) for k, v in json.loads(value).items()}
                except ValueError as error:
                    parser.error(f"{option}: not JSON: {error}")
                continue
            try:
                merged |= read_pairs(value, str(option))
            except UsageError as error:
                parser.error(str(error))
        setattr(namespace, self.dest, merged)


def with_underscores(arguments: Sequence[str]) -> list[str]:
    """`--foo-bar` becomes `--foo_bar`, so that both spellings work."""
    found = []
    for word in arguments:
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            word = f"--{name[2:].replace('-', '_')}{equals}{value}"
        found.append(word)
    return found


def whole_numbers(text: str) -> list[int]:
    """`0,1,2` or `0-4` as numbers; raises `ArgumentTypeError` for anything else."""
    found: list[int] = []
    for piece in filter(None, text.split(",")):
        span = re.fullmatch(r"(\d+)(?:-(\d+))?", piece.strip())
        if span is None:
            raise argparse.ArgumentTypeError(f"{piece!r} is no seed; give whole numbers such as 0,1,2 or 0-4")
        numbers = range(int(span[1]), int(span[2] or span[1]) + 1)
        if len(found) + len(numbers) > MOST_SEEDS:
            raise argparse.ArgumentTypeError(f"{piece!r} is more than {MOST_SEEDS:,} seeds; each is a run of its own")
        if not numbers:
            raise argparse.ArgumentTypeError(f"{piece!r} runs backwards; give whole numbers such as 0,1,2 or 0-4")
        found += numbers
    if not found:
        raise argparse.ArgumentTypeError("no seed is given; give whole numbers such as 0,1,2 or 0-4")
    return found
