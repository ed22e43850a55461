"""A row of a file, whose fields are asked for by name and kind; an error names the field."""

import ast
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unlearnbench.counterfact.textual_lists import parse_list
from unlearnbench.errors import UsageError


@dataclass(frozen=True)
class Row:
    """One row; in a CSV its lists, numbers and objects are text as well."""

    number: int
    """Counted from 1; a CSV's heading is not a row."""
    fields: Mapping[str, Any]
    within: str = ""
    """The field whose fields these are, with a dot."""

    def text(self, field: str) -> str:
        """A text that is not blank, as it is."""
        value = self._value(field)
        if not isinstance(value, str):
            raise self._wrong(field, f"must be a text, not {_shown(value)}")
        if not value.strip():
            raise self._wrong(field, "is blank")
        return value

    def number_at(self, field: str) -> int:
        """A whole number."""
        value = self._value(field)
        if isinstance(value, str) and value.isascii() and value.isdigit():
            return int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._wrong(field, f"must be a whole number, not {_shown(value)}")
        return value

    def texts(self, field: str) -> tuple[str, ...]:
        """A list of texts."""
        value = self._value(field)
        if isinstance(value, str):
            try:
                value = parse_list(value)
            except ValueError as error:
                raise self._wrong(field, f"cannot be read as a list: {error}: {_shown(value)}") from None
        if not isinstance(value, Sequence) or not all(isinstance(item, str) and item.strip() for item in value):
            raise self._wrong(field, f"must be a list of texts, none blank, not {_shown(value)}")
        return tuple(value)

    def row(self, field: str) -> "Row":
        """The fields of a field."""
        value = self._value(field)
        if isinstance(value, str):
            value = _object(value)
        if not isinstance(value, Mapping):
            raise self._wrong(field, f"must be an object with named fields, not {_shown(self.fields[field])}")
        return Row(self.number, value, f"{self.within}{field}.")

    def _value(self, field: str) -> Any:
        value = self.fields.get(field)
        if value is None:
            raise self._wrong(field, "is missing")
        return value

    def _wrong(self, field: str, why: str) -> UsageError:
        return UsageError(f"field {self.within + field!r} {why}")


def _object(text: str) -> Any:
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(text)
        except (ValueError, TypeError, SyntaxError):
            continue
    return None


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:80]}…"
