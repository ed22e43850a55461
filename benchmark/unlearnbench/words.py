"""The grammar of words: `name` or `name[setting=value,…]`, where a value may be such a word again."""

from collections.abc import Mapping
from typing import NamedTuple

from unlearnbench.errors import UsageError


class Word(NamedTuple):
    """A name and what is set in its brackets, as text."""

    name: str
    settings: Mapping[str, str]


def read_word(text: str, kind: str) -> Word:
    """`npo[beta=0.1]` as a name and its settings; raises `UsageError` for another form."""
    text = text.strip()
    name, bracket, rest = text.partition("[")
    inside = rest[:-1] if bracket and rest.endswith("]") else ""
    whole = not bracket or (rest.endswith("]") and _balanced(inside))
    if not name or not whole or "]" in name or any(character.isspace() for character in name):
        raise UsageError(f"{kind} {text!r} is not of the form name or name[setting=value,…]")
    return Word(name, read_pairs(inside, f"{kind} {name}"))


def read_pairs(text: str, what: str) -> dict[str, str]:
    """`a=1,b=x[c=2,d=3]` as a mapping; raises `UsageError` for a piece without `=`, or a name given twice."""
    found: dict[str, str] = {}
    for piece in split_commas(text):
        key, equals, value = (part.strip() for part in piece.partition("="))
        if not equals or not key:
            raise UsageError(f"{what}: {piece!r} is not of the form name=value")
        if key in found:
            raise UsageError(f"{what}: {key!r} is given twice")
        found[key] = value
    return found


def split_commas(text: str) -> list[str]:
    """The pieces between the commas that stand outside all brackets; empty pieces are left out."""
    pieces, depth, start = list[str](), 0, 0
    for at, character in enumerate(text):
        depth += (character == "[") - (character == "]")
        if character == "," and depth == 0:
            pieces.append(text[start:at])
            start = at + 1
    return [piece.strip() for piece in (*pieces, text[start:]) if piece.strip()]


def _balanced(text: str) -> bool:
    depth = 0
    for character in text:
        depth += (character == "[") - (character == "]")
        if depth < 0:
            return False
    return depth == 0
