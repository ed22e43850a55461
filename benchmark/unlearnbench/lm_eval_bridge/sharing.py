"""Which sequences must be run so that every continuation can be read off: lists of tokens, no model."""

from collections.abc import Sequence
from typing import NamedTuple

Tokens = tuple[int, ...]


class Wanted(NamedTuple):
    """One continuation: the tokens that are run for it, and those whose likelihood is wanted."""

    run: Tokens
    """Context and continuation without the last token, of whose successor nobody asks."""
    tokens: Tokens
    """The continuation: the successor of each of the last `len(tokens)` places of `run`."""

    @classmethod
    def of(cls, context: Sequence[int], continuation: Sequence[int], longest: int) -> "Wanted":
        """What fits into `longest` places: too long a context loses its beginning, as in `HFLM`."""
        return cls(tuple((*context, *continuation)[-(longest + 1) :][:-1]), tuple(continuation))


class Reading(NamedTuple):
    """A distinct continuation after one sequence, and the requests that it answers."""

    column: int
    """The place whose successor is the first token."""
    tokens: Tokens
    requests: tuple[int, ...]


class Row(NamedTuple):
    """A sequence to run, and what to read off it."""

    sequence: Tokens
    readings: tuple[Reading, ...]

    @property
    def columns(self) -> set[int]:
        """The places at which logits are needed."""
        return {r.column + i for r in self.readings for i in range(len(r.tokens))}


def shared(wanted: Sequence[Wanted]) -> list[Row]:
    """As few rows as answer all requests, the longest first, so that memory runs out at once or never.

    A causal model finds the same at a place whatever follows it: a sequence also answers what is asked of any
    sequence that it begins with. Choices of one token after one context cost one row in all.
    """
    requests: dict[tuple[Tokens, Tokens], list[int]] = {}
    for i, want in enumerate(wanted):
        requests.setdefault(want, []).append(i)
    readings: dict[Tokens, list[Reading]] = {}
    for (run, tokens), indices in requests.items():
        readings.setdefault(run, []).append(Reading(len(run) - len(tokens), tokens, tuple(indices)))
    rows: list[tuple[Tokens, list[Reading]]] = []
    for run in sorted(readings, reverse=True):  # sorted backwards, a sequence comes right after its extensions
        if rows and rows[-1][0][: len(run)] == run:
            rows[-1][1].extend(readings[run])
        else:
            rows.append((run, list(readings[run])))
    rows.sort(key=lambda row: len(row[0]), reverse=True)
    return [Row(sequence, tuple(found)) for sequence, found in rows]


def batches(rows: Sequence[Row], size: int, places: int) -> list[list[Row]]:
    """Rows in their order, at most `size` of them together, and at most `places` logits (one row if it needs more)."""
    found: list[list[Row]] = []
    room = 0
    for row in rows:
        needed = len(row.columns)
        if not found or len(found[-1]) == size or needed > room:
            found.append([])
            room = places
        found[-1].append(row)
        room -= needed
    return found
