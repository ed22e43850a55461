"""Workflows that look at strangers' pull requests can only look."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def loaded(path: Path) -> dict[Any, Any]:
    """A workflow; YAML 1.1 reads its key `on` as true."""
    found: dict[Any, Any] = yaml.safe_load(path.read_text("utf-8"))
    return found


def steps(path: Path) -> list[dict[str, Any]]:
    """All steps of all jobs."""
    return [step for job in loaded(path)["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_can_only_read(path: Path) -> None:
    """No secrets for forks, no token that writes, no credentials left in a checkout."""
    content = loaded(path)
    assert "pull_request_target" not in content[True]
    assert content["permissions"] == {"contents": "read"}
    assert "secrets." not in path.read_text("utf-8")
    for step in steps(path):
        if step.get("uses", "").startswith("actions/checkout"):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_what_a_pull_request_says_of_itself_is_never_part_of_a_script(path: Path) -> None:
    """It reaches scripts as variables of the environment."""
    assert not [step["run"] for step in steps(path) if "${{" in step.get("run", "")]


def test_the_code_that_checks_a_submission_is_the_base_branchs() -> None:
    """The pull request lies in a folder of its own, from which nothing is installed or run."""
    found = steps(ROOT / ".github" / "workflows" / "submission.yml")
    scripts = "\n".join(step.get("run", "") for step in found)
    assert "pip install --no-deps ./base" in scripts
    assert not re.search(r"(pip install|python|bash|make)[^\n]*proposed", scripts)
