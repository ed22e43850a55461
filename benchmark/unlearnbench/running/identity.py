"""Which code decides an entry's numbers: its own file and every file of the harness that it builds on.

The digest of that code is part of a run's identity, so that a changed objective, localizer or optimizer loop
is never taken for one that is done. Comments, docstrings and blank lines decide nothing and do not count.
"""

import ast
import importlib.util
import inspect
import io
import sys
import tokenize
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TypeGuard

import unlearnbench
from unlearnbench.errors import UsageError
from unlearnbench.hashing import content_hash, text_hash
from unlearnbench.registry import Entry

ROOT = Path(unlearnbench.__file__).parent
NEUTRAL = frozenset(
    f"unlearnbench.{name}" for name in "errors hashing include lazy registry settings described words".split()
)
"""Code that finds, names and reports; no number depends on it."""
ALWAYS = {
    "method": ("unlearnbench.model.loading", "unlearnbench.editing.retain", "unlearnbench.editing.known"),
    "task": ("unlearnbench.model.loading", "unlearnbench.records.estimate", "unlearnbench.records.recompute"),
}
"""Code that entries of a kind depend on without importing it."""


def source_digest(entry: type[Entry]) -> str:
    """The digest of all code that decides what an entry does.

    Raises `UsageError` for a class that is in no file, as in a notebook.
    """
    try:
        path = Path(inspect.getfile(entry)).resolve()
    except (TypeError, OSError):
        hint = "write it into a file, and give its folder with --include"
        raise UsageError(f"the code of {entry.catalogue.kind} {entry.name!r} is in no file", hint) from None
    home = _home(entry.__module__, path)
    found: dict[str, str] = {}
    waiting = [(entry.__module__, path)]
    waiting += [(name, file) for name in ALWAYS.get(entry.catalogue.kind, ()) if (file := file_of(name))]
    while waiting:
        name, file = waiting.pop()
        told = name if name.startswith("unlearnbench.") else file.relative_to(home).as_posix()
        if told not in found:
            text = read_source(file)
            found[told] = text_hash(code_of(text))
            waiting += imports_of(text, name, file, home)
    return content_hash(found)


def _home(module: str, path: Path) -> Path:
    """The folder within which an entry's own code is: its package's, or the one it was included from."""
    if module.startswith("unlearnbench."):
        return ROOT
    package = sys.modules.get(module.split(".")[0])
    folders = [Path(folder).resolve() for folder in getattr(package, "__path__", ())]
    return next((folder for folder in folders if path.is_relative_to(folder)), path.parent)


def read_source(path: Path) -> str:
    """The text of a source file."""
    return path.read_text(encoding="utf-8")


def file_of(module: str) -> Path | None:
    """The file of a module of the harness; None for anything else, and for packages."""
    head, *parts = module.split(".")
    path = ROOT.joinpath(*parts).with_suffix(".py") if head == "unlearnbench" and parts else None
    return path if path is not None and path.is_file() else None


@cache
def code_of(text: str) -> str:
    """The text without comments, docstrings, sentences under fields, and blank lines; strings are left as they are."""
    lines = text.splitlines()
    try:
        tree, tokens = ast.parse(text), list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (SyntaxError, tokenize.TokenError):
        return text
    inside = set[int]()
    """Lines that end within a string."""
    for token in tokens:
        (row, column), (last, _) = token.start, token.end
        if token.type == tokenize.COMMENT:
            lines[row - 1] = lines[row - 1][:column]
        elif tokenize.tok_name[token.type] in ("STRING", "FSTRING_MIDDLE"):
            inside |= set(range(row - 1, last - 1))
    said = [node for node in ast.walk(tree) if _says_only(node, lines)]
    gone = {row for node in said for row in range(node.lineno - 1, node.end_lineno or node.lineno)}
    kept = ((row, line) for row, line in enumerate(lines) if row not in gone)
    return "\n".join(line if row in inside else line.rstrip() for row, line in kept if row in inside or line.strip())


def _says_only(node: ast.AST, lines: Sequence[str]) -> TypeGuard[ast.Expr]:
    """Whether a node is a string that stands alone on its lines, as docstrings do."""
    if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)):
        return False
    last = (node.end_lineno or node.lineno) - 1
    before, after = lines[node.lineno - 1][: node.col_offset], lines[last].encode()[node.end_col_offset or 0 :]
    return not before.strip() and not after.strip()


@cache
def imports_of(text: str, module: str, path: Path, home: Path) -> tuple[tuple[str, Path], ...]:
    """The modules that a source file builds on: those of the harness, and those of its own package or folder."""
    return tuple(found for name in _names(text, module, path) if (found := _found(name, home)) is not None)


def _names(text: str, module: str, path: Path) -> Iterator[tuple[str, ...]]:
    """What each import may mean, the longest first: `a.b.c` of `from a.b import c` may be a module or a name in one."""
    package = module if path.stem == "__init__" else module.rpartition(".")[0]
    for node in _running(ast.parse(text)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield (alias.name,)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *((node.module or "").split(".") if node.module else [])])
            for alias in node.names:
                home = unlearnbench.HOMES.get(alias.name) if base == "unlearnbench" else None
                yield (f"unlearnbench.{home}",) if home else (f"{base}.{alias.name}", base)


def _running(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node that runs: what stands under `if TYPE_CHECKING` does not."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            for other in node.orelse:
                yield from (other, *_running(other))
            continue
        yield node
        yield from _running(node)


def _found(names: Sequence[str], home: Path) -> tuple[str, Path] | None:
    for name in names:
        file = file_of(name)
        if file is not None:
            return None if name in NEUTRAL else (name, file)
        if home != ROOT and not name.startswith("unlearnbench."):
            file = _own_file(name, home)
            if file is not None:
                return name, file
    return None


def _own_file(name: str, home: Path) -> Path | None:
    """The file of a module, where it is one of the entry's own; nothing of anybody else's is imported to find it."""
    for one in dict.fromkeys((name.split(".")[0], name)):  # to find `torch.nn`, Python would import `torch`
        try:
            spec = importlib.util.find_spec(one)
        except (ImportError, ValueError, AttributeError):
            return None
        places = [spec.origin, *(spec.submodule_search_locations or ())] if spec is not None else []
        if not any(place and Path(place).resolve().is_relative_to(home) for place in places):
            return None
    origin = spec.origin if spec is not None else None
    return Path(origin).resolve() if origin and origin.endswith(".py") else None
