"""Whether two item logs of the same questions agree, where the arithmetic may have differed in the last bits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

TOLERANCE: Mapping[str, float] = {"float32": 1e-4, "bfloat16": 2e-2}
"""Of a log-probability, relative to its size or 1: batch sizes and kernels move float32 sums by up to about 1e-5 of
them, and bfloat16 keeps eight bits."""
OF_VALUES = 1e-3
"""Of values that are no decision, relative to their size or 1."""
MOST_FLIPS = 0.02
"""The share of rows whose decision may have fallen otherwise, each between choices that are near each other."""
ASKED = ("subset", "item", "cluster", "gold", "target", "choices")
Line = Mapping[str, Any]


def other_items(recorded: Sequence[Line], again: Sequence[Line]) -> str | None:
    """What one log has and the other has not; None where both are of the same items (on no curve) and answers."""
    mine, theirs = _asked(recorded), _asked(again)
    for one in (*(mine - theirs), *(theirs - mine)):
        return f"other items, such as {one[1]}"
    return None


def disagreements(recorded: Sequence[Line], again: Sequence[Line], tolerance: float) -> list[str]:
    """Items that differ by more than rounding, and decisions that fell otherwise with no near tie to explain it."""
    if len(recorded) != len(again):
        return [f"it had {len(recorded):,} items and has {len(again):,}"]
    found, flips = list[str](), 0
    for mine, theirs in zip(recorded, again, strict=True):
        reason, flipped = _compared(mine, theirs, tolerance)
        flips += flipped
        if reason:
            found.append(f"item {mine.get('item')!r} ({mine.get('subset')}): {reason}")
    if flips > max(2, MOST_FLIPS * len(recorded)):
        found.append(f"{flips:,} of {len(recorded):,} decisions fell otherwise, and not so many can be ties")
    return found


def _compared(mine: Line, theirs: Line, tolerance: float) -> tuple[str | None, bool]:
    """What is wrong, and whether a decision fell otherwise."""
    for key in (*ASKED, "at", "prompt"):
        if mine.get(key) != theirs.get(key):
            return f"{key} was {mine.get(key)!r} and is {theirs.get(key)!r}", False
    before, after = mine.get("logprobs") or [], theirs.get("logprobs") or []
    if len(before) != len(after):
        return f"it had {len(before)} log-probabilities and has {len(after)}", False
    for was, now in zip(before, after, strict=True):
        if abs(was - now) > tolerance * max(1.0, abs(was)):
            return f"a log-probability was {was!r} and is {now!r}", False
    near = len(before) > 1 and _gap(before) <= 2 * tolerance * max(1.0, abs(max(before)))
    return _values(mine["values"], theirs["values"], max(OF_VALUES, tolerance), near=near)


def _values(mine: Line, theirs: Line, slack: float, *, near: bool) -> tuple[str | None, bool]:
    flipped = False
    if set(mine) != set(theirs):
        return f"it had the values {', '.join(sorted(mine))}, and has {', '.join(sorted(theirs))}", False
    for key, was in mine.items():
        now = theirs[key]
        if abs(was - now) <= slack * max(1.0, abs(was)):
            continue
        if not near:
            return f"{key} was {was!r} and is {now!r}, and no two choices were near each other", False
        flipped = True
    return None, flipped


def _gap(logprobs: Sequence[float]) -> float:
    first, second = sorted(logprobs, reverse=True)[:2]
    return first - second


def _asked(rows: Sequence[Line]) -> Counter[tuple[str, ...]]:
    return Counter(tuple(repr(row.get(key)) for key in ASKED) for row in rows if not row.get("at"))
