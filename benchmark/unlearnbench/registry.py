"""Who is there: entries of six kinds, found by folder, by entry point and by `--include`.

Being in the folder is registration. A file that cannot be imported is listed with its error, and
the rest still runs.
"""

import importlib
import inspect
import pkgutil
import re
from abc import ABC
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from unlearnbench.errors import UnknownName, UsageError


@dataclass
class Catalogue(Mapping[str, type]):
    """All registered classes of one kind, by name; filled at the first look-up."""

    kind: str
    packages: tuple[str, ...]
    """The packages whose modules are the entries."""
    group: str
    """The entry-point group of plug-ins."""
    broken: dict[str, str] = field(default_factory=dict)
    """Modules that could not be imported, with their error."""
    _entries: dict[str, type] = field(default_factory=dict)

    def add(self, name: str, entry: type) -> None:
        """Register a class; two different classes of one name, and one that says nothing, are refused."""
        known = self._entries.get(name)
        if known is not None and _origin(known) != _origin(entry):
            raise UsageError(
                f"two {self.kind}s are called {name!r}: {known.__module__} and {entry.__module__}",
                "rename one of them",
            )
        if not about(entry):
            raise UsageError(
                f"{self.kind} {name!r} has no docstring",
                f"say in one line what {entry.__qualname__} does: `ls` shows it",
            )
        if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
            raise UsageError(f"{name!r} cannot be the name of a {self.kind}", "letters, digits, '_', '-' and '.' can")
        settings = fields(entry) if is_dataclass(entry) else ()
        needed = [one.name for one in settings if one.default is MISSING and one.default_factory is MISSING]
        if needed not in ([], ["variant"]):
            raise UsageError(f"{self.kind} {name!r}: setting {needed[0]!r} has no default", "give it one")
        self._entries[name] = entry

    @contextmanager
    def remembered(self) -> Iterator[None]:
        """Within: more can be registered; afterwards the catalogue is what it was."""
        entries, broken = dict(self.items()), dict(self.broken)
        try:
            yield
        finally:
            self._entries.clear()
            self._entries.update(entries)
            self.broken.clear()
            self.broken.update(broken)

    def refill(self) -> None:
        """Look for entries anew at the next look-up, as for a plug-in that was installed meanwhile."""
        self.__dict__.pop("_filled", None)

    @cached_property
    def _filled(self) -> dict[str, type]:
        for package in self.packages:
            for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
                if not module.ispkg:
                    self.attempt(f"{package}.{module.name}", importlib.import_module)
        for point in entry_points(group=self.group):
            self.attempt(f"{point.name} = {point.value}", _loader(point))
        return self._entries

    def attempt(self, label: str, load: Callable[[str], Any]) -> None:
        """Import somebody's file. Any failure is theirs: it is listed, and everyone else's still runs."""
        reason = failure(lambda: load(label))
        if reason:
            self.broken[label] = reason

    def __getitem__(self, name: str) -> type:
        if name not in self._filled:
            error = UnknownName(self.kind, name, self._filled)
            for label, reason in self.broken.items():
                error.hint += f"; {label} could not be imported: {reason}"
            raise error
        return self._filled[name]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._filled))

    def __len__(self) -> int:
        return len(self._filled)

    def __contains__(self, name: object) -> bool:
        return name in self._filled


class Entry(ABC):
    """What can be registered: a class of one of the kinds below, whose dataclass fields are its settings."""

    name: ClassVar[str]
    """Given by `register`."""
    version: ClassVar[int] = 1
    """Raised whenever its numbers change."""
    catalogue: ClassVar[Catalogue]
    """Where its kind is kept."""


methods = Catalogue("method", ("unlearnbench.methods",), "unlearnbench.methods")
localizers = Catalogue("localizer", ("unlearnbench.methods.localizers",), "unlearnbench.localizers")
objectives = Catalogue("objective", ("unlearnbench.methods.objectives",), "unlearnbench.objectives")
adversaries = Catalogue("adversary", ("unlearnbench.methods.adversaries",), "unlearnbench.adversaries")
tasks = Catalogue("task", ("unlearnbench.tasks", "unlearnbench.tasks.attacks"), "unlearnbench.tasks")
fact_sets = Catalogue("fact set", ("unlearnbench.tasks.facts",), "unlearnbench.facts")
CATALOGUES = (methods, localizers, objectives, adversaries, tasks, fact_sets)

T = TypeVar("T", bound=type)


def register(name: str) -> Callable[[T], T]:
    """Class decorator: enter a method, localizer, objective, adversary, task or fact set under this name."""

    def enter(entry: T) -> T:
        catalogue = getattr(entry, "catalogue", None)
        if not isinstance(catalogue, Catalogue):
            kinds = ", ".join(catalogue.kind for catalogue in CATALOGUES)
            raise TypeError(f"{entry.__qualname__} is of no kind that can be registered: {kinds}")
        catalogue.add(name, entry)
        setattr(entry, "name", name)
        return entry

    return enter


def about(entry: type) -> str:
    """The first line of what a class says of itself; "" where it says nothing."""
    text = (entry.__dict__.get("__doc__") or "").strip()
    # A dataclass without a docstring is given its signature as one.
    return "" if text.startswith(f"{entry.__name__}(") else text.split("\n")[0]


def failure(attempt: Callable[[], Any]) -> str | None:
    """Why an attempt failed, in one line; None if it did not. `sys.exit` in somebody's file counts as a failure."""
    try:
        attempt()
    except SystemExit as error:
        return f"the file ends the program when it is imported: sys.exit({error.code!r})"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def _origin(entry: type) -> tuple[str, str]:
    """File and name of a class: the same class of a file that was imported twice is the same entry."""
    try:
        return str(Path(inspect.getfile(entry)).resolve()), entry.__qualname__
    except (OSError, TypeError):
        return entry.__module__, entry.__qualname__


def _loader(point: EntryPoint) -> Callable[[str], Any]:
    return lambda _: point.load()
