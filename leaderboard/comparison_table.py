"""A comparison as a table, in whatever is read by whom it is for."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict

from tabulate import tabulate

from unlearnbench.leaderboard.comparing import Compared, verdict
from unlearnbench.leaderboard.export import inert

FORMATS = {"table": "simple", "markdown": "github", "latex": "latex_booktabs"}
"""What `tabulate` calls them; csv and json besides."""
LEGEND = (
    "Δ: second minus first, on the same items at the same seeds, with 95 % over seeds and subjects. p: the larger of a"
    " sign-flip and a t test, corrected for all that is compared here (Holm). Missed: a true difference of this size"
    " would have been overlooked one time in five, a smaller one more often. Of forgetting and of attacks less is"
    " better (below the oracle it is no better), of keeping more."
)


def as_text(found: Sequence[Compared], style: str) -> str:
    """One table for each pair, with a sentence."""
    pairs = dict.fromkeys((one.first, one.second) for one in found)
    parts = [_table(first, second, found, style) for first, second in pairs]
    return "\n\n".join([*parts, LEGEND])


def as_csv(found: Sequence[Compared]) -> str:
    """A line for each task of each pair."""
    text = io.StringIO()
    rows = [_plain(one) for one in found]
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: inert(value) for key, value in row.items()} for row in rows)
    return text.getvalue()


def as_json(found: Sequence[Compared]) -> str:
    """The same as objects, and the verdict of each pair."""
    pairs = dict.fromkeys((one.first, one.second) for one in found)
    verdicts = [{"first": a, "second": b, "verdict": verdict(a, b, found)} for a, b in pairs]
    return json.dumps({"compared": [_plain(one) for one in found], "verdicts": verdicts}, indent=1, allow_nan=False)


def _table(first: str, second: str, found: Sequence[Compared], style: str) -> str:
    mine = [one for one in found if (one.first, one.second) == (first, second)]
    headers = ["task", "metric", first, second, "Δ", "95 %", "p", "missed", "won:lost of items", "better"]
    lines = [
        [
            one.task,
            one.metric,
            f"{one.values[0]:.3f}",
            f"{one.values[1]:.3f}",
            f"{one.change:+.3f}".replace("-", "−"),
            f"[{one.low:.3f}, {one.high:.3f}]".replace("-", "−"),
            f"{one.p:.3f}" if one.p >= 0.001 else "< .001",
            f"{one.detectable:.3f}",
            f"{one.won}:{one.lost} of {one.items}",
            one.better or "–",
        ]
        for one in mine
    ]
    seeds = f"{mine[0].seeds} seed{'s' if mine[0].seeds > 1 else ''}"
    alone = "; with one seed nothing is known of how much a method varies" if mine[0].seeds == 1 else ""
    text = tabulate(lines, headers, tablefmt=style, disable_numparse=True)
    return f"{first} and {second}, {seeds}{alone}\n\n{text}\n\n{verdict(first, second, found)}"


def _plain(one: Compared) -> dict[str, object]:
    values = asdict(one)
    a, b = values.pop("values")
    return {**values, "value_first": a, "value_second": b, "better": one.better}
