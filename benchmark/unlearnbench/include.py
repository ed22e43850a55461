"""`--include DIR`: a folder with entries of a user's own."""

import hashlib
import importlib.util
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from unlearnbench.errors import UsageError
from unlearnbench.registry import CATALOGUES, failure


def include(folder: Path) -> None:
    """Import every Python file of a user's folder, so that what it registers can be named.

    Helpers beside an entry can be imported by their name, `import helper`, where nothing else is called
    so, and always as `from . import helper`. Raises `UsageError` where the folder does not exist.
    """
    if not folder.is_dir():
        raise UsageError(f"--include {folder}: there is no such folder")
    for catalogue in CATALOGUES:
        len(catalogue)  # ours first: a user's class of the same name is refused, not ours
    folder = folder.resolve()
    package = _package(folder)
    if str(folder) not in sys.path:
        sys.path.append(str(folder))  # at the end: a file called like a library does not replace it
    for path in sorted(folder.glob("*.py")):
        if path.stem == "__init__":
            continue
        reason = failure(lambda path=path: _execute(f"{package}.{path.stem}", path))  # type: ignore[misc]
        for catalogue in CATALOGUES:
            catalogue.broken.pop(str(path), None)
            if reason:
                catalogue.broken[str(path)] = reason


def _package(folder: Path) -> str:
    """Two folders may hold files of one name, so each folder is a package of its own."""
    name = f"unlearnbench_included_{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"
    if name not in sys.modules:
        module = ModuleType(name)
        module.__path__ = [str(folder)]
        module.__spec__ = ModuleSpec(name, None, is_package=True)
        module.__spec__.submodule_search_locations = [str(folder)]
        sys.modules[name] = module
    return name


def _execute(name: str, path: Path) -> None:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
