"""The scorer on the development version of lm-eval, where the package registry has it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

NEXT = "0.5.0.dev1"
TESTS = Path(__file__).with_name("test_lm_eval_scorer.py")


@pytest.mark.slow
def test_the_scorer_has_hflms_numbers_on_the_next_version_of_lm_eval_too(tmp_path: Path) -> None:
    folder = tmp_path / "next"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder), f"lm_eval=={NEXT}"]
    if subprocess.run(pip, capture_output=True).returncode != 0:
        pytest.skip(f"lm-eval {NEXT} cannot be had here")

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", str(TESTS)],
        cwd=TESTS.parents[1],
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout[-3000:]
    seen = subprocess.run(
        [sys.executable, "-c", "import importlib.metadata as m; print(m.version('lm-eval'))"],
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
    )
    assert seen.stdout.strip() == NEXT
