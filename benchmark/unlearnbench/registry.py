"""Who is there: methods, tasks and fact sets, found by folder, by entry point and by `--include`.

Being in the folder is registration. A file that cannot be imported is listed with its error, and
the rest still runs.
"""

import hashlib
import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, TypeVar

from unlearnbench.errors import UnknownName, UsageError


@dataclass
class Catalogue(Mapping[str, type]):
    """All registered classes of one kind, by name; filled at the first look-up."""

    kind: str
    package: str
    """The package whose modules are the entries."""
    group: str
    """The entry-point group of plug-ins."""
    broken: dict[str, str] = field(default_factory=dict)
    """Modules that could not be imported, with their error."""
    _entries: dict[str, type] = field(default_factory=dict)

    def add(self, name: str, entry: type) -> None:
        """Register a class; two different classes of one name are refused."""
        known = self._entries.get(name)
        if known is not None and (known.__module__, known.__qualname__) != (entry.__module__, entry.__qualname__):
            raise UsageError(
                f"two {self.kind}s are called {name!r}: {known.__module__} and {entry.__module__}",
                "rename one of them",
            )
        self._entries[name] = entry

    @cached_property
    def _filled(self) -> dict[str, type]:
        # Any failure of somebody's file is theirs: it is listed, and everyone else's still runs.
        package = importlib.import_module(self.package)
        for module in pkgutil.iter_modules(package.__path__):
            if not module.ispkg:
                self._try(f"{self.package}.{module.name}", importlib.import_module)
        for point in entry_points(group=self.group):
            self._try(f"{point.name} = {point.value}", _loader(point))
        return self._entries

    def _try(self, label: str, load: Callable[[str], Any]) -> None:
        try:
            load(label)
        except Exception as error:
            self.broken[label] = f"{type(error).__name__}: {error}"

    def __getitem__(self, name: str) -> type:
        if name not in self._filled:
            error = UnknownName(self.kind, name, self._filled)
            for place, reason in self.broken.items():
                error.hint += f"; {place} could not be imported: {reason}"
            raise error
        return self._filled[name]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._filled))

    def __len__(self) -> int:
        return len(self._filled)

    def __contains__(self, name: object) -> bool:
        return name in self._filled


methods = Catalogue("method", "unlearnbench.methods", "unlearnbench.methods")
questions = Catalogue("task", "unlearnbench.tasks", "unlearnbench.tasks")
fact_sets = Catalogue("fact set", "unlearnbench.tasks.facts", "unlearnbench.facts")
CATALOGUES = (methods, questions, fact_sets)


T = TypeVar("T", bound=type)


def register(name: str) -> Callable[[T], T]:
    """Class decorator: enter a `Method`, a `Task` or a `FactSet` under this name."""

    def enter(entry: T) -> T:
        setattr(entry, "name", name)
        _catalogue_of(entry).add(name, entry)
        return entry

    return enter


def _loader(point: EntryPoint) -> Callable[[str], Any]:
    return lambda _: point.load()


def _catalogue_of(entry: type) -> Catalogue:
    # By base class *name*, so that registering a fact set needs neither torch nor the method class.
    bases = {base.__name__ for base in entry.__mro__}
    for base, catalogue in (("Method", methods), ("Task", questions), ("FactSet", fact_sets)):
        if base in bases:
            return catalogue
    raise TypeError(f"{entry.__qualname__} is neither a Method, nor a Task, nor a FactSet")


def included() -> tuple[Path, ...]:
    """The folders of users that were included, in order: their lm-eval YAML can be named too."""
    return tuple(_included)


_included: list[Path] = []


def include(folder: Path) -> None:
    """Import every Python file of a user's folder, so that what it registers can be named.

    Raises `UsageError` where the folder does not exist.
    """
    if not folder.is_dir():
        raise UsageError(f"--include {folder}: there is no such folder")
    for catalogue in CATALOGUES:
        len(catalogue)  # ours first: a user's class of the same name is refused, not ours
    if folder not in _included:
        _included.append(folder)
    for path in sorted(folder.glob("*.py")):
        # Two folders may hold files of one name; the same file is the same module.
        place = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
        name = f"unlearnbench_included_{path.stem}_{place}"
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            continue
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            for catalogue in CATALOGUES:
                catalogue.broken[str(path)] = f"{type(error).__name__}: {error}"
