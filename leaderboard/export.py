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
    """A line for each cell, with a header; an empty field where there is no number."""
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_cells(rows))
    return text.getvalue()


def as_json(rows: Sequence[Standing]) -> str:
    """A list with an object for each cell."""
    return json.dumps(list(_cells(rows)), indent=1, ensure_ascii=False, allow_nan=False)


def _cells(rows: Sequence[Standing]) -> Iterator[dict[str, Any]]:
    for row in rows:
        shared = {
            "model": row.setting.model,
            "facts": row.setting.facts,
            "details": row.setting.details,
            "method": row.method,
            "reference": row.reference,
            "invalid": len(row.invalid),
        }
        for task, cell in row.cells.items():
            yield {
                **shared,
                "task": task,
                "metric": cell.metric,
                "direction": cell.direction,
                "value": cell.value,
                "error": cell.error,
                "difference": cell.difference,
                "seeds": cell.seeds,
            }
        if not row.cells:
            yield shared
