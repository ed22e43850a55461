"""`unlearnbench validate-attacks`, on the organism whose facts are in two places."""

import json
from pathlib import Path

import pytest

from unlearnbench.cli import main

WORDS = ["validate-attacks", "--models", "tiny-hidden", "--seeds", "0", "--tasks", "sports/forget,sports/quantization"]


@pytest.mark.end_to_end
def test_an_attack_is_held_to_models_that_hide_facts_and_to_models_that_lack_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*WORDS, "--output_path", str(tmp_path)]

    assert main([*words, "--format", "json"]) == 0
    first = capsys.readouterr()
    assert "0 of 4 runs are already" in first.err
    (attack,) = (one for one in json.loads(first.out)["attacks"] if one["attack"] == "sports/quantization")
    assert attack["base"] is None
    assert set(attack["hidden"]) == {"mlp.2 of two", "mlp.3 of two"}
    assert attack["none_there"] < 0.1

    assert main(words) == 0
    again = capsys.readouterr()
    assert "4 of 4 runs are already" in again.err
    assert "An attack is invalid that finds more than 0.1" in again.out


def test_a_misspelt_organism_is_named_with_those_that_hide_facts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate-attacks", "--models", "tiny-hiden"]) == 2
    assert "tiny-hidden" in capsys.readouterr().err


def test_a_misspelt_task_is_found_before_anything_is_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate-attacks", "--tasks", "sports/relerning", "-o", str(tmp_path / "out")]) == 2
    assert "sports/relearning" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
