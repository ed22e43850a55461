"""Settings are the typed fields of a frozen dataclass; this is how text becomes one, and one becomes text.

A field whose type is a kind of entry (`objective: Objective`) is a *part*: it is set with a word of its own,
`objective=npo[beta=0.1]`. What a part alone can be set to may be set without naming the part.
"""

from collections.abc import Mapping
from dataclasses import MISSING, field, fields, replace
from dataclasses import Field as DataclassField
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast, get_args, get_type_hints

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from unlearnbench.errors import UnknownName, UsageError
from unlearnbench.registry import Entry
from unlearnbench.words import read_word

FINITE = ConfigDict(allow_inf_nan=False)
DERIVED = {"derived": True}
"""Metadata of a field that is no setting, but follows from something that is recorded otherwise."""
Configured = TypeVar("Configured")
Kind = TypeVar("Kind", bound=Entry)


def made(kind: type[Kind], word: str) -> Kind:
    """The entry of this kind that a word names: `made(Objective, "npo[beta=0.1]")`.

    Raises `UnknownName` for a name or a setting that does not exist, `UsageError` for a value of the wrong type.
    """
    name, given = read_word(word, kind.catalogue.kind)
    return cast(Kind, configured(kind.catalogue[name], given, f"{kind.catalogue.kind} {name}"))


def preset(kind: type[Entry], word: str) -> Any:
    """The default of a part: `objective: Objective = preset(Objective, "edit")`. Looked up when it is needed."""
    return field(default_factory=lambda: made(kind, word))


def configured(entry: type[Configured], given: Mapping[str, Any], what: str) -> Configured:
    """An instance of the dataclass `entry` with these settings, converted to their fields' types.

    Raises `UnknownName` for a setting that neither it nor one of its parts has, `UsageError` for a value of
    the wrong type and for a setting that two of its parts have.
    """
    hints = get_type_hints(entry, include_extras=True)
    own = names_of(entry)
    values = {key: _converted(hints[key], key, value, what) for key, value in given.items() if key in own}
    found = entry(**values)
    for key in (key for key in given if key not in own):
        found = _set_in_part(found, key, given[key], what)
    return found


def changed(entry: Configured, key: str, value: Any, what: str) -> Configured:
    """The same entry with one setting changed, its own or that of one of its parts; raises as `configured` does."""
    return configured(type(entry), {**values_of(entry), key: value}, what)


def names_of(entry: Any) -> list[str]:
    """The names of an entry's own settings, parts among them."""
    return [one.name for one in _own(entry)]


def settable(entry: Any) -> list[str]:
    """What may be set without naming a part: an entry's own settings, and those of its parts."""
    return [name for one in (entry, *parts_of(entry).values()) for name in names_of(one)]


def values_of(entry: Any) -> dict[str, Any]:
    """What an entry's own settings are, parts among them."""
    return {name: getattr(entry, name) for name in names_of(entry)}


def defaults_of(entry: Any) -> dict[str, Any]:
    """The default of each setting that has one, of a dataclass or one of its instances."""
    found: dict[str, Any] = {}
    for one in _own(entry):
        if one.default is not MISSING:
            found[one.name] = one.default
        elif one.default_factory is not MISSING:
            found[one.name] = one.default_factory()
    return found


def parts_of(entry: Any) -> dict[str, Entry]:
    """The parts of a configured entry, by field."""
    return {name: value for name, value in values_of(entry).items() if isinstance(value, Entry)}


def settings_of(entry: Any) -> dict[str, Any]:
    """The settings of a configured dataclass as JSON-able data, its parts left out.

    A path is known by its last name; what lies there is known by its digest.
    """
    own = {name: value for name, value in values_of(entry).items() if not isinstance(value, Entry)}
    values = {name: value.name if isinstance(value, Path) else value for name, value in own.items()}
    plain: dict[str, Any] = TypeAdapter(dict[str, Any]).dump_python(values, mode="json")
    return plain


def path_names(entry: Any) -> list[str]:
    """The names of the settings that are paths, of a dataclass or one of its instances."""
    hints = get_type_hints(entry if isinstance(entry, type) else type(entry))
    return [one for one in names_of(entry) if Path in (hints[one], *get_args(hints[one]))]


def paths_of(entry: Any) -> dict[str, Path]:
    """The settings that are paths."""
    return {name: value for name, value in values_of(entry).items() if isinstance(value, Path)}


def departures(entry: Any) -> dict[str, str]:
    """What is set otherwise than by default, as it would be typed: `{"steps": "100", "objective": "npo"}`.

    A part that differs from the default one in its settings only is told by these settings.
    """
    found = dict[str, str]()
    for name, usual in defaults_of(entry).items():
        value = getattr(entry, name)
        if value == usual:
            continue
        if isinstance(value, Entry):
            inside = departures(value) if type(value) is type(usual) else {}
            found |= inside if inside and _owned_once(entry, inside) else {name: word_of(value)}
        else:
            found[name] = value.name if isinstance(value, Path) else str(value)
    return found


def word_of(entry: Entry) -> str:
    """The word that makes this entry: its name and its departures from the defaults."""
    pairs = ",".join(f"{key}={value}" for key, value in departures(entry).items())
    return f"{entry.name}[{pairs}]" if pairs else entry.name


def _own(entry: Any) -> "list[DataclassField[Any]]":
    """The fields that are settings."""
    return [one for one in fields(entry) if not one.metadata.get("derived")]


def _owned_once(entry: Any, names: Mapping[str, str]) -> bool:
    """Whether each of these settings could be given to `entry` without naming a part."""
    parts = parts_of(entry).values()
    return all(name not in names_of(entry) and sum(name in names_of(part) for part in parts) == 1 for name in names)


def _set_in_part(entry: Configured, key: str, value: Any, what: str) -> Configured:
    parts = parts_of(entry)
    owners = [name for name, part in parts.items() if key in names_of(part)]
    if len(owners) > 1:
        words = " or ".join(f"{owner}={parts[owner].name}[{key}={value}]" for owner in owners)
        raise UsageError(f"{key!r} is a setting of several parts of {what}", f"say which: {words}")
    if not owners:
        raise UnknownName(f"setting of {what}", key, settable(entry))
    part = parts[owners[0]]
    part = changed(part, key, value, f"{part.catalogue.kind} {part.name}")
    return cast(Configured, replace(cast(Any, entry), **{owners[0]: part}))


def _converted(hint: Any, key: str, value: Any, what: str) -> Any:
    plain = getattr(hint, "__origin__", hint) if hasattr(hint, "__metadata__") else hint
    if isinstance(plain, type) and issubclass(plain, Entry):
        return value if isinstance(value, plain) else made(plain, str(value))
    try:
        # Annotated, since a bare type may not be given a configuration.
        finite: Any = Annotated[hint, Field()]
        return TypeAdapter(finite, config=FINITE).validate_python(value)
    except ValidationError as error:
        wanted = getattr(plain, "__name__", str(plain))
        raise UsageError(f"setting {key}={value!r} of {what} ({wanted}): {error.errors()[0]['msg']}") from None
