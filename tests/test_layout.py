"""Who may import whom, read from the files themselves; and where the folders and links are."""

import ast
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeGuard

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "benchmark/unlearnbench"
ENTRIES = ("tasks", "methods", "leaderboard")
HEAVY = ("torch", "transformers")
PRINTERS = (f"{PACKAGE}/cli/", f"{PACKAGE}/organisms/pretrain.py")
LOADER = f"{PACKAGE}/model/loading.py"
DOORS = (f"{PACKAGE}/__init__.py", f"{PACKAGE}/__main__.py")
WINGS = (
    *("ground", "world", "counterfact", "model", "lm_eval_bridge", "editing", "locating"),
    *("asking", "records", "running", "organisms", "cli"),
)
"""In order: each may import the wings before it and itself, and none behind it."""


def project_files() -> list[str]:
    """Every source file by its path from the root; each once, under its real folder."""
    core = [
        path
        for path in ROOT.joinpath(PACKAGE).rglob("*.py")
        if path.relative_to(ROOT / PACKAGE).parts[0] not in ENTRIES
    ]
    entries = [path for folder in ENTRIES for path in ROOT.joinpath(folder).rglob("*.py")]
    return sorted(path.relative_to(ROOT).as_posix() for path in [*core, *entries])


def module_of(path: str) -> list[str]:
    """The dotted name of a project file, in parts; a package's own file keeps its `__init__`."""
    parts = path.removesuffix(".py").split("/")
    return ["unlearnbench", *parts[2:]] if path.startswith(f"{PACKAGE}/") else ["unlearnbench", *parts]


def wing_of(parts: Sequence[str]) -> str | None:
    """The wing that a dotted name of the harness belongs to; None where it is no part of the harness."""
    if parts[0] != "unlearnbench" or len(parts) < 2 or parts[1] in ENTRIES:
        return None
    return parts[1] if parts[1] in WINGS else "ground"


def imported(node: ast.AST, path: str) -> Iterator[list[str]]:
    """What a statement imports, in parts; relative imports are resolved."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.name.split(".")
    elif isinstance(node, ast.ImportFrom):
        base = module_of(path)[: -node.level] if node.level else []
        base = [*base, *(node.module.split(".") if node.module else [])]
        for alias in node.names:
            yield [*base, alias.name]


def import_violations(node: ast.AST, path: str, *, late: bool) -> Iterator[str]:
    """The arrows that a statement draws and that are not allowed; `late` ones are inside a function."""
    owner = next((entry for entry in ENTRIES if path.startswith(f"{entry}/")), "core")
    for parts in imported(node, path):
        target = parts[1] if parts[0] == "unlearnbench" and len(parts) > 1 and parts[1] in ENTRIES else None
        own = owner == target == "leaderboard"
        shown = target == "leaderboard" and late and path.startswith(f"{PACKAGE}/cli/")
        if target and not own and not shown:
            yield f"{owner} imports {'.'.join(parts)}"
        # The front door shows names of every wing, and imports each when it is asked for.
        mine = "cli" if path in DOORS else wing_of(module_of(path))
        theirs = wing_of(parts)
        if mine and theirs and WINGS.index(theirs) > WINGS.index(mine):
            yield f"{mine} imports {'.'.join(parts)}"
        if owner == "leaderboard" and parts[0] in HEAVY:
            yield f"leaderboard imports {parts[0]}"


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Modules that import each other around a corner; [] for a graph that can be read from bottom to top."""
    found, done = list[list[str]](), set[str]()

    def walk(module: str, way: list[str]) -> None:
        if module in way:
            found.append([*way[way.index(module) :], module])
        elif module not in done:
            for target in sorted(graph.get(module, ())):
                walk(target, [*way, module])
            done.add(module)

    for module in sorted(graph):
        walk(module, [])
    return found


def arrows(files: Mapping[str, str]) -> dict[str, set[str]]:
    """Which module imports which, anywhere in its text; the front door left out."""
    modules = {".".join(module_of(path)).removesuffix(".__init__"): path for path in files if path not in DOORS}
    graph: dict[str, set[str]] = {}
    for module, path in modules.items():
        named = [t for node in ast.walk(ast.parse(files[path])) for t in imported(node, path)]
        dotted = {".".join(parts[:length]) for parts in named for length in (len(parts), len(parts) - 1)}
        graph[module] = {target for target in dotted if target in modules and target != module}
    return graph


def violations(path: str, source: str) -> list[str]:
    """What a file at this path does that it may not."""
    tree = ast.parse(source)
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    late = {id(node) for function in functions for node in ast.walk(function)}
    found = []
    for node in ast.walk(tree):
        found += import_violations(node, path, late=id(node) in late)
        if isinstance(node, ast.Attribute) and node.attr == "from_pretrained" and path != LOADER:
            found.append("from_pretrained outside loading.py")
        is_print = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
        if is_print and not path.startswith(PRINTERS):
            found.append("print outside the command line")
    return found


@pytest.mark.parametrize("path", project_files())
def test_a_file_imports_and_calls_only_what_its_place_allows(path: str) -> None:
    assert violations(path, ROOT.joinpath(path).read_text(encoding="utf-8")) == []


def test_the_files_that_are_checked_are_all_there() -> None:
    files = project_files()

    assert LOADER in files
    assert {path.split("/")[0] for path in files} == {"benchmark", *ENTRIES}
    assert [path for path in files if path.startswith(tuple(f"{PACKAGE}/{entry}/" for entry in ENTRIES))] == []


@pytest.mark.parametrize(
    ("path", "source", "complaint"),
    [
        ("tasks/new.py", "from unlearnbench.methods.none import Nothing", "tasks imports unlearnbench.methods.none"),
        ("tasks/new.py", "from unlearnbench.tasks.forget import Forget", "tasks imports unlearnbench.tasks.forget"),
        ("tasks/new.py", "from ..methods import none", "tasks imports unlearnbench.methods.none"),
        ("tasks/facts/new.py", "from ... import leaderboard", "tasks imports unlearnbench.leaderboard"),
        ("methods/new.py", "import unlearnbench.tasks.forget as f", "methods imports unlearnbench.tasks.forget"),
        ("methods/new.py", "from unlearnbench import leaderboard", "methods imports unlearnbench.leaderboard"),
        ("methods/new.py", "def f():\n    import unlearnbench.tasks", "methods imports unlearnbench.tasks"),
        ("methods/new.py", "if True:\n    print('hello')", "print outside the command line"),
        ("leaderboard/new.py", "from unlearnbench.tasks import forget", "leaderboard imports unlearnbench.tasks"),
        ("leaderboard/new.py", "import torch.nn", "leaderboard imports torch"),
        ("leaderboard/new.py", "def f():\n    from transformers import X", "leaderboard imports transformers"),
        (f"{PACKAGE}/new.py", "from unlearnbench.methods import none", "core imports unlearnbench.methods.none"),
        (f"{PACKAGE}/new.py", "try:\n    from .tasks import forget\nfinally:\n    pass", "core imports unlearnbench.t"),
        (f"{PACKAGE}/new.py", "def f():\n    import unlearnbench.leaderboard", "core imports unlearnbench.leader"),
        (
            f"{PACKAGE}/cli/new.py",
            "from unlearnbench.leaderboard.standings import standings",
            "core imports unlearnbench.lea",
        ),
        (f"{PACKAGE}/cli/new.py", "def f():\n    import unlearnbench.methods", "core imports unlearnbench.methods"),
        (f"{PACKAGE}/new.py", "m = AutoModel.from_pretrained('x')", "from_pretrained outside loading.py"),
        (f"{PACKAGE}/model/new.py", "from unlearnbench.editing.method import Method", "model imports unlearnbench.edi"),
        (f"{PACKAGE}/world/new.py", "def f():\n    from ..model import model", "world imports unlearnbench.model"),
        (f"{PACKAGE}/new.py", "from unlearnbench.world import world", "ground imports unlearnbench.world"),
        (f"{PACKAGE}/asking/new.py", "from unlearnbench import cli", "asking imports unlearnbench.cli"),
        (f"{PACKAGE}/editing/new.py", "import unlearnbench.running.plan", "editing imports unlearnbench.running.plan"),
        (f"{PACKAGE}/organisms/report.py", "print(1)", "print outside the command line"),
    ],
)
def test_the_checker_finds_a_planted_violation(path: str, source: str, complaint: str) -> None:
    assert [found for found in violations(path, source) if found.startswith(complaint)]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        (
            "tasks/new.py",
            "from unlearnbench.registry import methods\nfrom unlearnbench.asking.task import Task\nimport torch",
        ),
        (
            "leaderboard/new.py",
            "from unlearnbench.leaderboard.standings import Standing\nfrom unlearnbench.records.record import Record",
        ),
        (
            f"{PACKAGE}/cli/new.py",
            "def f():\n    from unlearnbench.leaderboard import standings\n    print()",
        ),
        (f"{PACKAGE}/cli/new.py", "from unlearnbench.cli import leaderboard"),
        (LOADER, "m = AutoModel.from_pretrained('x')"),
        (f"{PACKAGE}/new.py", "from tasks_of_somebody import x\nlog.print('x')"),
    ],
)
def test_the_checker_leaves_what_is_allowed_alone(path: str, source: str) -> None:
    assert violations(path, source) == []


def test_no_two_modules_import_each_other() -> None:
    assert circles(arrows({path: ROOT.joinpath(path).read_text(encoding="utf-8") for path in project_files()})) == []


def test_a_circle_is_found() -> None:
    files = {
        f"{PACKAGE}/model/a.py": "from unlearnbench.model.b import B",
        f"{PACKAGE}/model/b.py": "from unlearnbench.model import c",
        f"{PACKAGE}/model/c.py": "def f():\n    from .a import A",
    }

    found = circles(arrows(files))

    assert found == [[f"unlearnbench.model.{name}" for name in "abca"]]


@pytest.mark.parametrize("module", ["unlearnbench.leaderboard.standings", "unlearnbench.leaderboard.table"])
def test_the_leaderboard_does_not_load_torch_through_anything_else(module: str, tmp_path: Path) -> None:
    code = f"import sys, {module}; print(sorted({{'torch', 'transformers', {module!r}}} & set(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "benchmark")}

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path, env=environment
    )

    assert done.stdout.strip() == str([module])


@pytest.mark.parametrize("entry", ENTRIES)
def test_the_import_package_links_to_the_mandated_folder(entry: str) -> None:
    link = ROOT / PACKAGE / entry

    assert link.is_symlink()
    assert link.readlink().as_posix() == f"../../{entry}"
    assert link.resolve() == ROOT / entry
    assert (link / "__init__.py").is_file()


def test_constraints_pin_versions_that_every_machine_can_get() -> None:
    path = ROOT / "constraints.txt"
    if not path.is_file():
        pytest.skip("there is no constraints.txt")

    lines = [line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines()]
    pins = [line for line in lines if line]

    assert pins
    assert [pin for pin in pins if "+" in pin] == []
    assert [pin for pin in pins if "nvidia" in pin.lower()] == []
    assert [pin for pin in pins if pin.count("==") != 1] == []


def test_rooms_are_small() -> None:
    lengths = {path: len(ROOT.joinpath(path).read_text(encoding="utf-8").splitlines()) for path in project_files()}

    assert statistics.median(lengths.values()) <= 80
    assert {path: length for path, length in lengths.items() if length > 300} == {}


@pytest.mark.parametrize("path", project_files())
def test_no_function_is_longer_than_fifty_lines(path: str) -> None:
    functions = [n for n in ast.walk(ast.parse(ROOT.joinpath(path).read_text(encoding="utf-8"))) if is_function(n)]

    assert [(f.name, lines) for f in functions if (lines := (f.end_lineno or 0) - f.lineno + 1) > 50] == []


def is_function(node: ast.AST) -> TypeGuard[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Whether a node defines a function."""
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


@pytest.mark.parametrize("words", [["ls", "methods"], ["ls", "objectives", "--settings"], ["ls", "tasks"]])
def test_listing_loads_no_torch(words: list[str], tmp_path: Path) -> None:
    code = f"import sys; from unlearnbench.cli import main; main({words}); print('heavy:', 'torch' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "benchmark")}

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path, env=environment
    )

    assert done.stdout.splitlines()[-1] == "heavy: False"


def test_planning_loads_no_torch(tmp_path: Path) -> None:
    words = "run --suite demo --dry_run".split()
    code = f"import sys; from unlearnbench.cli import main; main({words}); print('heavy:', 'torch' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "benchmark")}

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path, env=environment
    )

    assert done.stdout.splitlines()[-1] == "heavy: False"
