"""Settings are the typed fields of a frozen dataclass; this is how text becomes one."""

from collections.abc import Mapping
from dataclasses import Field as DataclassField
from dataclasses import fields
from typing import Annotated, Any, TypeVar, get_type_hints

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from unlearnbench.errors import UnknownName, UsageError

FINITE = ConfigDict(allow_inf_nan=False)
DERIVED = {"derived": True}
"""Metadata of a field that is no setting: nobody types it, and no record shows it."""
Configured = TypeVar("Configured")


def configured(entry: type[Configured], given: Mapping[str, Any], what: str) -> Configured:
    """An instance of the dataclass `entry` with these settings, converted to their fields' types.

    Raises `UnknownName` for a setting that does not exist, `UsageError` for one of the wrong type.
    """
    hints, names = get_type_hints(entry, include_extras=True), [field.name for field in _settable(entry)]
    values = {}
    for key, value in given.items():
        if key not in names:
            raise UnknownName(f"setting of {what}", key, names)
        try:
            # Annotated, since a bare type may not be given a configuration.
            finite: Any = Annotated[hints[key], Field()]
            adapter: TypeAdapter[Any] = TypeAdapter(finite, config=FINITE)
            values[key] = adapter.validate_python(value)
        except ValidationError as error:
            plain = get_type_hints(entry)[key]
            wanted = getattr(plain, "__name__", str(plain))
            raise UsageError(f"setting {key}={value!r} of {what} ({wanted}): {error.errors()[0]['msg']}") from None
    return entry(**values)


def settings_of(entry: Any) -> dict[str, Any]:
    """The settings of a configured dataclass as JSON-able data."""
    values = {field.name: getattr(entry, field.name) for field in _settable(entry)}
    plain: dict[str, Any] = TypeAdapter(dict[str, Any]).dump_python(values, mode="json")
    return plain


def described(entry: Any) -> list[tuple[str, str, Any]]:
    """(name, type, default) of every setting of a dataclass."""
    hints = get_type_hints(entry)
    return [(f.name, getattr(hints[f.name], "__name__", str(hints[f.name])), f.default) for f in _settable(entry)]


def _settable(entry: Any) -> list[DataclassField[Any]]:
    return [field for field in fields(entry) if field.metadata != DERIVED]
