"""Whether two item logs of the same questions agree, where the arithmetic may have differed in the last bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

TOLERANCE: Mapping[str, float] = {"float32": 1e-4, "bfloat16": 2e-2}
"""Of a log-probability, relative to its size or 1: batch sizes and kernels move float32 sums by up to about 1e-5 of
them, and bfloat16 keeps eight bits."""
MOST_SHOWN = 3
Line = Mapping[str, Any]


def disagreements(recorded: Sequence[Line], again: Sequence[Line], tolerance: float) -> list[str]:
    """Items that differ by more than rounding, and decisions that fell otherwise with no near tie to explain it."""
    if len(recorded) != len(again):
        return [f"it had {len(recorded):,} items and has {len(again):,}"]
    found = list[str]()
    for mine, theirs in zip(recorded, again, strict=True):
        reason = _reason(mine, theirs, tolerance)
        if reason:
            found.append(f"item {mine.get('item')!r} ({mine.get('subset')}): {reason}")
    return found


def _reason(mine: Line, theirs: Line, tolerance: float) -> str | None:
    for key in ("item", "subset", "cluster", "at", "prompt", "choices", "gold", "target"):
        if mine.get(key) != theirs.get(key):
            return f"{key} was {mine.get(key)!r} and is {theirs.get(key)!r}"
    before, after = mine.get("logprobs"), theirs.get("logprobs")
    if before is None or after is None:
        return None if mine == theirs else f"values were {mine.get('values')!r} and are {theirs.get('values')!r}"
    if len(before) != len(after):
        return f"it had {len(before)} log-probabilities and has {len(after)}"
    for was, now in zip(before, after, strict=True):
        if abs(was - now) > tolerance * max(1.0, abs(was)):
            return f"a log-probability was {was!r} and is {now!r}"
    if mine["values"].get("accuracy") == theirs["values"].get("accuracy"):
        return None
    first, second = sorted(before, reverse=True)[:2] if len(before) > 1 else (before[0], float("-inf"))
    near = first - second <= 2 * tolerance * max(1.0, abs(first))
    return None if near else "the decision fell otherwise, and no two choices were near each other"
