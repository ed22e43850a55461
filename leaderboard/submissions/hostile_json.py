"""JSON from strangers: what the usual parsers let pass, or fall over, is refused with its place and reason."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from unlearnbench.errors import RefusedSubmission

Model = TypeVar("Model", bound=BaseModel)
DEEPEST = 32
LONGEST_TEXT = 4_096
LONGEST_LIST = 100_000
LARGEST_INTEGER = 2**53
LONGEST_NUMBER = 40
"""Characters; more than any number needs, and few enough that none takes long to read."""
_STRINGS_AND_BRACKETS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
"""A string that never ends is taken whole: nothing is looked at twice."""
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Control and format characters (bidirectional overrides are among them), lone surrogates, what is in no standard …"""
_UNWRITABLE = frozenset({"Cs", "Cn"})
"""… of which item logs may have all but the last: names of real subjects hold such marks, and no page shows them."""


def parsed(data: bytes, where: str, *, shown: bool = True) -> Any:
    """The document; raises `RefusedSubmission`.

    UTF-8 without a mark, no key twice, no NaN or infinity (as `1e999` is one), whole numbers below 2**53, at most 32
    levels deep, no text of more than 4,096 characters; none with control or bidirectional ones in what is `shown`.
    """
    if data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise RefusedSubmission(f"{where}: it begins with a byte order mark", "save it as UTF-8 without one")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RefusedSubmission(f"{where}: byte {error.start} is not UTF-8") from None
    _refuse_depth(data, where)
    try:
        document = json.loads(
            text,
            object_pairs_hook=lambda pairs: _mapping(pairs, where),
            parse_constant=lambda name: _refuse(where, f"{name} is no number"),
            parse_float=lambda number: _finite(number, where),
            parse_int=lambda number: _whole(number, where),
        )
    except (ValueError, RecursionError) as error:
        raise RefusedSubmission(f"{where}: it is not JSON: {error}") from None
    unwanted = _UNPRINTABLE if shown else _UNWRITABLE
    for path, value in _leaves(document, "$"):
        _refuse_text(value, f"{where}: {path}", unwanted)
    return document


def validated(data: bytes, where: str, model: type[Model], *, name_fields: bool = False) -> Model:
    """What was `parsed`, as its schema has it; raises `RefusedSubmission` with the first field that is not."""
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        at, known = ".".join(map(str, first["loc"])), model.model_fields
        hint = f"the fields are {', '.join(known)}" if name_fields and at not in known else ""
        raise RefusedSubmission(f"{where}: {at}: {first['msg']}", hint) from None


def _refuse(where: str, what: str) -> NoReturn:
    raise RefusedSubmission(f"{where}: {what}")


def _refuse_depth(data: bytes, where: str) -> None:
    """Counted without recursion, before a parser recurses."""
    depth = 0
    for found in _STRINGS_AND_BRACKETS.finditer(data):
        depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(found[0], 0)
        if depth > DEEPEST:
            _refuse(where, f"it is nested more than {DEEPEST} levels deep, at byte {found.start()}")


def _mapping(pairs: Sequence[tuple[str, Any]], where: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            _refuse(where, f"the key {key[:100]!r} is there twice")
        found[key] = value
    return found


def _finite(number: str, where: str) -> float:
    value = float(number) if len(number) <= LONGEST_NUMBER else math.inf
    if not math.isfinite(value):
        _refuse(where, f"{number[:LONGEST_NUMBER]} is too large or too long for a number")
    return value


def _whole(number: str, where: str) -> int:
    if len(number) > LONGEST_NUMBER or abs(int(number)) >= LARGEST_INTEGER:
        _refuse(where, f"{number[:LONGEST_NUMBER]} is a whole number of 2**53 or more")
    return int(number)


def _leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Every text, keys included, with its place."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield f"{path}, a key", key
            yield from _leaves(inner, f"{path}.{key}")
    elif isinstance(value, list):
        if len(value) > LONGEST_LIST:
            _refuse(path, f"a list of {len(value):,}, and {LONGEST_LIST:,} is the most")
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{index}]")


def _refuse_text(text: str, where: str, unwanted: frozenset[str]) -> None:
    if len(text) > LONGEST_TEXT:
        _refuse(where[:200], f"a text of {len(text):,} characters, and {LONGEST_TEXT:,} is the most")
    if text.isascii() and text.isprintable():
        return
    for character in text:
        if unicodedata.category(character) in unwanted:
            _refuse(where[:200].encode("ascii", "backslashreplace").decode(), f"the character U+{ord(character):04X}")
