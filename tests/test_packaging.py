"""What is installed is what is here: every package and every data file, under one import name."""

import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

import unlearnbench

ROOT = Path(__file__).parent.parent
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())
FOR_READERS = ("leaderboard/LEADERBOARD.md",)
"""Of the repository, not of the package."""
SETUPTOOLS = SETTINGS["tool"]["setuptools"]


def folder_of(package: str) -> Path:
    """Where a package's real folder is."""
    return ROOT / SETUPTOOLS["package-dir"][package]


def test_every_package_of_the_tree_is_in_the_map() -> None:
    real = [ROOT / name for name in ("benchmark/unlearnbench", "tasks", "methods", "leaderboard")]
    found = {path.parent for root in real for path in root.rglob("__init__.py") if not _linked(path)}

    assert found == {folder_of(package) for package in SETUPTOOLS["packages"]}


def test_every_data_file_is_packaged() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split(
        "\n"
    )
    if not any(tracked):
        pytest.skip("not a git checkout")
    lost = []
    for name in tracked:
        path = ROOT / name
        homes = [p for p in SETUPTOOLS["packages"] if folder_of(p) in path.parents]
        if not homes or path.suffix == ".py" or path.is_symlink() or name in FOR_READERS:
            continue
        home = max(homes, key=lambda package: len(str(folder_of(package))))
        inside = str(path.relative_to(folder_of(home)))
        patterns = SETUPTOOLS["package-data"].get(home, [])
        if not any(fnmatch(inside, pattern) and inside.count("/") == pattern.count("/") for pattern in patterns):
            lost.append(name)

    assert not lost


def test_pins_name_no_local_build_and_no_accelerator() -> None:
    pins = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]

    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[^+\s]+", pin) for pin in pins), "exact, without a local version"
    assert not [pin for pin in pins if pin.lower().startswith(("nvidia", "triton"))]
    needed = [re.split(r"[><=\[]", n)[0].replace("_", "-").lower() for n in SETTINGS["project"]["dependencies"]]
    assert set(needed) <= {pin.split("==")[0].replace("_", "-").lower() for pin in pins}


def test_the_public_names_are_sorted_and_exist() -> None:
    assert unlearnbench.__all__ == sorted(unlearnbench.__all__)
    assert set(unlearnbench.__all__) == set(unlearnbench.HOMES)
    for name in unlearnbench.__all__:
        assert getattr(unlearnbench, name).__name__ == name


def test_help_does_not_import_torch() -> None:
    program = "import sys; from unlearnbench.cli import parser; parser().format_help(); print('torch' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"


def test_the_committed_schema_is_the_generated_one() -> None:
    from unlearnbench.leaderboard.json_schema import schema_text

    committed = (ROOT / "leaderboard" / "schema" / "result-3.schema.json").read_text()

    assert committed == schema_text(), "run `make schema`"


@pytest.mark.slow
def test_a_wheel_works_in_an_empty_environment_beside_hostile_folders(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "build", "--wheel", "-o", str(tmp_path), str(ROOT)], check=True)
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    (wheel,) = tmp_path.glob("*.whl")
    pins = ["-c", str(ROOT / "constraints.txt")]
    subprocess.run([str(python), "-m", "pip", "install", "-q", *pins, str(wheel)], check=True)
    for name in ("tasks", "methods"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('hostile code ran')\n")

    command = [str(tmp_path / "venv" / "bin" / "unlearnbench"), "run", "--suite", "demo"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "full_finetune" in done.stdout


def _linked(path: Path) -> bool:
    return any(parent.is_symlink() for parent in path.parents)
