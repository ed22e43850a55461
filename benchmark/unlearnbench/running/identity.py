"""Which code decides an entry's numbers: its own file and every file of the harness that it builds on.

The digest of that code is part of a run's identity, so that a changed objective, localizer or optimizer loop
is never taken for one that is done. Comments, docstrings and blank lines decide nothing and do not count.
"""

import ast
import inspect
import io
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import unlearnbench
from unlearnbench.hashing import content_hash, text_hash
from unlearnbench.registry import Entry

ROOT = Path(unlearnbench.__file__).parent
NEUTRAL = frozenset(
    f"unlearnbench.{name}" for name in "errors hashing include lazy registry settings described words".split()
)
"""Code that finds, names and reports; no number depends on it."""
ALWAYS = {
    "method": ("unlearnbench.model.loading", "unlearnbench.editing.retain"),
    "task": ("unlearnbench.model.loading", "unlearnbench.records.estimate"),
}
"""Code that entries of a kind depend on without importing it."""


def source_digest(entry: type[Entry]) -> str:
    """The digest of all code that decides what an entry does."""
    path = Path(inspect.getfile(entry))
    files = {path.stem: path, **{name: file_of(name) for name in ALWAYS.get(entry.catalogue.kind, ())}}
    found: dict[str, str] = {}
    waiting = [(name, file) for name, file in files.items() if file]
    while waiting:
        name, file = waiting.pop()
        if name not in found:
            text = read_source(file)
            found[name] = text_hash(code_of(text))
            waiting += [(target, source) for target, source in imports_of(text, file) if target not in found]
    return content_hash(found)


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
    """The text without comments, docstrings, sentences under fields, and blank lines."""
    lines = text.splitlines()
    try:
        tree, tokens = ast.parse(text), list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (SyntaxError, tokenize.TokenError):
        return text
    for token in tokens:
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            for row in range(node.lineno - 1, node.end_lineno or node.lineno):
                lines[row] = ""
    return "\n".join(line.rstrip() for line in lines if line.strip())


@cache
def imports_of(text: str, path: Path) -> tuple[tuple[str, Path], ...]:
    """The modules that a source file builds on: those of the harness, and helpers in its own folder."""
    return tuple(_imports_of(text, path))


def _imports_of(text: str, path: Path) -> Iterator[tuple[str, Path]]:
    for node in _running(ast.parse(text)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _found(alias.name, None, path)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield from _found(node.module or "", alias.name, path, relative=bool(node.level))


def _running(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node that runs: what stands under `if TYPE_CHECKING` does not."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            for other in node.orelse:
                yield from (other, *_running(other))
            continue
        yield node
        yield from _running(node)


def _found(module: str, name: str | None, path: Path, *, relative: bool = False) -> Iterator[tuple[str, Path]]:
    if module == "unlearnbench" and name in unlearnbench.HOMES:
        module, name = f"unlearnbench.{unlearnbench.HOMES[name]}", None
    for dotted in (f"{module}.{name}" if name else module, module):
        file = file_of(dotted)
        if file is not None:
            if dotted not in NEUTRAL:
                yield dotted, file
            return
    if not path.is_relative_to(ROOT):
        first = (module or name or "").split(".")[0]
        beside = path.parent / f"{first}.py"
        if beside.is_file():
            yield first, beside
