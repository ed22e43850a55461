"""Factorial designs: every method with every combination of some settings."""

from collections.abc import Iterable, Mapping, Sequence

from unlearnbench.errors import UnknownName, UsageError
from unlearnbench.running.words import parse_method, word_with
from unlearnbench.settings import parts_of, settable
from unlearnbench.words import read_word, split_commas


def read_grid(words: Iterable[str]) -> dict[str, list[str]]:
    """`localizer=a,b objective=c,d`: each key with its values. Raises `UsageError` for another form."""
    found: dict[str, list[str]] = {}
    key: str | None = None
    for piece in (piece for word in words for piece in split_commas(word)):
        head, equals, value = piece.partition("=")
        if equals and "[" not in head:
            key, piece = head.strip(), value.strip()
            if key in found:
                raise UsageError(f"--grid: {key!r} is given twice", "say all of its values in one place")
            found[key] = []
        if key is None or not piece:
            raise UsageError(f"--grid: {piece!r} is a value of nothing", "say --grid objective=npo,rmu adversary=none")
        found[key].append(piece)
    return found


def crossed(words: Sequence[str], grid: Mapping[str, Sequence[str]]) -> list[str]:
    """The methods of these words with every combination of the grid, as words.

    A method is left alone by keys that it cannot be set to, such as `none` by all of them. Parts are set first, so that
    settings of theirs can be crossed, too. Raises `UnknownName` for a key that no method can be set to, `UsageError`
    for one that a method sets itself.
    """
    known = {name for word in words for name in settable(parse_method(word))}
    parts = {name for word in words for name in parts_of(parse_method(word))}
    used = set[str]()
    for key in sorted(grid, key=lambda key: key not in parts):
        more = list[str]()
        for word in words:
            able = settable(parse_method(word))
            known |= set(able)
            used |= {key} & set(able)
            more += [_with(word, key, value) for value in grid[key]] if key in able else [word]
        words = more
    for key in grid:
        if key not in used:
            raise UnknownName("key of --grid", key, known)
    return list(dict.fromkeys(words))


def _with(word: str, key: str, value: str) -> str:
    if key in read_word(word, "method").settings:
        raise UsageError(f"--grid sets {key}, and method {word} sets it itself", "leave one of them out")
    return word_with(word, {key: value})
