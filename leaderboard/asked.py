"""What a run was asked, in a digest: whoever is compared must have been asked the same, and be scored by the same."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from unlearnbench.hashing import bytes_hash
from unlearnbench.records.any_attack import key_of
from unlearnbench.records.definitions import definitions
from unlearnbench.records.record import Record, TaskResult

Rows = Sequence[Mapping[str, Any]]


def asked_of(record: Record, rows: Mapping[str, Rows]) -> dict[str, str]:
    """By `key_of` each task: a digest of its items, of their answers and of what its metrics are."""
    return {key_of(one.spec): _digest(_asked(one, rows[one.spec_hash])) for one in record.tasks}


def same_questions(record: Record) -> tuple[str, str, int]:
    """What two runs share if their tasks are about the same facts of the same model: model, facts and seed."""
    return record.spec.model.model_dump_json(), record.spec.facts.model_dump_json(), record.spec.seed


def same_table(record: Record) -> tuple[str, str]:
    """What runs at several seeds share, each of which draws other items."""
    return record.spec.model.model_dump_json(), record.spec.facts.model_dump_json(exclude={"items_sha256"})


def called(key: str, others: Iterable[str]) -> str:
    """A task, by its key; with what it has otherwise than those of its name among the others."""
    spec = json.loads(key)
    alike = [one for one in map(json.loads, others) if one["name"] == spec["name"]]
    if not alike:
        return str(spec["name"])
    own = [f"{k}={v}" for k, v in spec["settings"].items() if any(one["settings"].get(k) != v for one in alike)]
    return f"{spec['name']}[{','.join(own)}]" if own else f"{spec['name']} as it is in the board's release"


def difference(mine: TaskResult, rows: Rows, base: TaskResult, base_rows: Rows) -> str | None:
    """In what a task was asked or is scored otherwise than of the base; None where it is the same."""
    if mine.spec.items_sha256 != base.spec.items_sha256:
        return "is asked of another split"
    for one, other in ((definitions(mine), definitions(base)), (definitions(base), definitions(mine))):
        for name, definition in one.items():
            if other.get(name) != definition:
                return f"has a metric {name!r} that is not defined as `none`'s"
    items, theirs = _items(rows), _items(base_rows)
    for item in (*(items - theirs), *(theirs - items)):
        return f"asks other items than `none` was asked, such as {item[1][:100]!r}"
    return None


def _digest(content: Any) -> str:
    """For comparing within one board: no published hash, which must come out the same in other languages too."""
    return bytes_hash(json.dumps(content, sort_keys=True).encode())


def _asked(one: TaskResult, rows: Rows) -> Any:
    items = sorted([*map(str, item), count] for item, count in _items(rows).items())
    return {"split": one.spec.items_sha256, "metrics": definitions(one), "items": items}


def _items(rows: Rows) -> Counter[tuple[str, str, str, str, str]]:
    """Subset, item, subject, answer and edit target of every row that is on no curve, with how often it is there."""
    return Counter(
        (str(row["subset"]), str(row.get("item")), str(row["cluster"]), _choice(row, "gold"), _choice(row, "target"))
        for row in rows
        if not row.get("at")
    )


def _choice(row: Mapping[str, Any], key: str) -> str:
    at, choices = row.get(key), row.get("choices")
    return str(choices[at]) if isinstance(choices, list) and isinstance(at, int) and 0 <= at < len(choices) else str(at)
