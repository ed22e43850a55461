"""What a board needs of a run, and how it is kept: columns that many runs share are kept, and held, once."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from unlearnbench.hashing import bytes_hash
from unlearnbench.leaderboard.evidence import Answered, Items
from unlearnbench.leaderboard.page.curves import ANSWERED, NEVER
from unlearnbench.records.any_attack import Found, Item, Said
from unlearnbench.records.record import Record


class Reading(NamedTuple):
    """A run, as a board needs it."""

    record: Record
    """Without history, localization scores and curves that no board shows."""
    attacks: Mapping[str, Found]
    answers: Mapping[str, Answered]
    asked: Mapping[str, str]
    """Digests of what it was asked, by task."""


class Packed(NamedTuple):
    """A reading as text."""

    record: str
    rest: str
    """Columns by their digests."""
    columns: Mapping[str, str]
    """Their contents."""


def packed(one: Reading) -> Packed:
    """For keeping."""
    columns: dict[str, str] = {}

    def put(column: Any) -> str:
        text = json.dumps(list(column), separators=(",", ":"))
        digest = bytes_hash(text.encode())[7:31]
        columns[digest] = text
        return digest

    rest = [
        {key: _found(found, put) for key, found in one.attacks.items()},
        {key: _answered(answered, put) for key, answered in one.answers.items()},
        dict(one.asked),
    ]
    return Packed(
        _slim(one.record).model_dump_json(exclude_defaults=True), json.dumps(rest, separators=(",", ":")), columns
    )


class Unpacking:
    """Makes readings of text; what two of them share is one object, so that many fit into memory."""

    def __init__(self, content: Callable[[str], str]) -> None:
        self._content = content
        """Of a column, by its digest."""
        self._known: dict[Any, Any] = {}

    def reading(self, record: str, rest: str) -> Reading:
        """As it was packed."""
        attacks, answers, asked = json.loads(rest)
        return Reading(
            Record.model_validate_json(record),
            {key: self._found(*columns) for key, columns in attacks.items()},
            {key: self._answered(*columns) for key, columns in answers.items()},
            asked,
        )

    def _found(self, items: list[str], choices: str, *said: str) -> Found:
        def of_items() -> list[Item]:
            return [Item(*one) for one in zip(*map(self._column, items), strict=True)]

        columns = map(self._column, (choices, *said))
        return {
            item: Said(truth, target, dict(zip(names, credits, strict=True)))
            for item, names, truth, target, credits in zip(self._once(tuple(items), of_items), *columns, strict=True)
        }

    def _answered(self, axis: Any, values: Any, chance: float | None, ceiling: Any, floor: Any) -> Answered:
        below = floor if isinstance(floor, float) else self._items(floor)
        return Answered(axis, self._items(values), chance, self._items(ceiling), below)

    def _items(self, columns: list[str]) -> Items:
        found: Items = self._once(tuple(columns), lambda: tuple(zip(*map(self._column, columns), strict=True)))
        return found

    def _column(self, digest: str) -> list[Any]:
        found: list[Any] = self._once(digest, lambda: json.loads(self._content(digest)))
        return found

    def _once(self, key: Any, make: Callable[[], Any]) -> Any:
        if key not in self._known:
            self._known[key] = make()
        return self._known[key]


Put = Callable[[Any], str]


def _found(found: Found, put: Put) -> Any:
    """Columns of the items, then of what could be said, of what is true and asked for, and of the credits."""
    said = found.values()
    return [
        [put(column) for column in zip(*found, strict=True)],
        put([list(one.credits) for one in said]),
        put([one.truth for one in said]),
        put([one.target for one in said]),
        put([list(one.credits.values()) for one in said]),
    ]


def _answered(one: Answered, put: Put) -> Any:
    floor = one.floor if isinstance(one.floor, float) else _items(one.floor, put)
    return [one.axis, _items(one.values, put), one.chance, _items(one.ceiling, put), floor]


def _items(items: Items, put: Put) -> Any:
    return [put(subject for subject, _ in items), put(value for _, value in items)]


def _slim(record: Record) -> Record:
    shown = (ANSWERED, NEVER)
    tasks = [
        one.model_copy(update={"metrics": [m for m in one.metrics if not m.at or m.name in shown]})
        for one in record.tasks
    ]
    where = record.localization.model_copy(update={"scores": {}, "tensors": [], "change_by_component": {}})
    sessions = [one.model_copy(update={"environment": {}}) for one in record.sessions]
    return record.model_copy(update={"tasks": tasks, "localization": where, "history": [], "sessions": sessions})
