"""The words of the command line and of suites: `name[setting=value,…]`, in lists with commas."""

import re

from unlearnbench.errors import UsageError

WORD = re.compile(r"^(?P<name>[^\[\]]+)(?:\[(?P<settings>[^\[\]]*)\])?$")


def split_words(text: str) -> list[str]:
    """Split on commas that stand outside square brackets."""
    return [word.strip() for word in re.split(r",(?![^\[]*\])", text) if word.strip()]


def split_settings(word: str, kind: str) -> tuple[str, dict[str, str]]:
    """The name and the settings of one word; raises `UsageError` where it is not of that form."""
    match = WORD.match(word.strip())
    if match is None:
        raise UsageError(f"{kind} {word!r} is not of the form name or name[setting=value,…]")
    return match["name"], parse_settings(match["settings"] or "", f"{kind} {word}")


def parse_settings(text: str, what: str) -> dict[str, str]:
    """`a=1,b=2` as a mapping; raises `UsageError` for a piece without `=`, or one that comes twice."""
    found: dict[str, str] = {}
    for piece in filter(None, (piece.strip() for piece in text.split(","))):
        key, equals, value = piece.partition("=")
        if not equals or not key:
            raise UsageError(f"{what}: {piece!r} is not of the form name=value")
        if key.strip() in found:
            raise UsageError(f"{what}: {key.strip()!r} is given twice")
        found[key.strip()] = value.strip()
    return found
