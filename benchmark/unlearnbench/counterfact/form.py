"""A form of CounterFact: which columns it has, and how a row of it becomes a record."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from unlearnbench.counterfact.record import CounterFactRecord
from unlearnbench.counterfact.row import Row
from unlearnbench.errors import UsageError


@dataclass(frozen=True)
class Form:
    """One way to write CounterFact down."""

    name: str
    columns: tuple[str, ...]
    """Those that are read; others may be there."""
    build: Callable[[Row], CounterFactRecord]

    def parse(self, rows: Iterable[Mapping[str, Any]], file: str) -> tuple[CounterFactRecord, ...]:
        """The record of every row, in their order; an error names the file and the row."""
        return tuple(self._record(number, row, file) for number, row in enumerate(rows, start=1))

    def likeness(self, columns: Iterable[object]) -> float:
        """The share of its columns that are there."""
        return len(set(self.columns) & set(columns)) / len(self.columns)

    def _record(self, number: int, fields: Any, file: str) -> CounterFactRecord:
        hint = f"{self.name} has the fields {', '.join(self.columns)}"
        if not isinstance(fields, Mapping):
            raise UsageError(f"{file}, row {number}: it is not an object with named fields", hint)
        try:
            return self.build(Row(number, fields))
        except UsageError as error:
            raise UsageError(f"{file}, row {number}: {error}", hint) from None
