"""Rows as data for other programs: one number a field, nothing formatted."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any

from unlearnbench.leaderboard.standings import Standing

FIELDS = (
    *("model", "facts", "details", "method", "reference", "task", "metric", "direction"),
    *("value", "error", "difference", "seeds", "invalid"),
)


def as_csv(rows: Sequence[Standing]) -> str:
    """A line for each score, with a header; an empty field where there is no number."""
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: inert(value) for key, value in row.items()} for row in _scores(rows))
    return text.getvalue()


def inert(value: object) -> object:
    """What a spreadsheet would take for a formula is text."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def as_json(rows: Sequence[Standing]) -> str:
    """A list with an object for each score."""
    return json.dumps(list(_scores(rows)), indent=1, ensure_ascii=False, allow_nan=False)


def _scores(rows: Sequence[Standing]) -> Iterator[dict[str, Any]]:
    for row in rows:
        shared = {
            "model": row.setting.model,
            "facts": row.setting.facts,
            "details": row.setting.details,
            "method": row.method,
            "reference": row.reference,
            "invalid": len(row.invalid),
        }
        for task, score in row.scores.items():
            yield {
                **shared,
                "task": task,
                "metric": score.metric,
                "direction": score.direction,
                "value": score.value,
                "error": score.error,
                "difference": score.difference,
                "seeds": score.seeds,
            }
        if not row.scores:
            yield shared
