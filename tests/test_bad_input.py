"""Bad input gets one clear error: what is wrong, what would work, and the documented exit code."""

import os
from pathlib import Path

import pytest

from unlearnbench.cli import main

RUN = ["run", "--facts", "sports:athletes-16", "--methods", "none", "--tasks", "sports/forget"]


def instead(option: str, *values: str) -> list[str]:
    """The quick command with one option changed."""
    words = list(RUN)
    if option in words:
        place = words.index(option)
        words[place + 1 : place + 2] = values
        return words
    return [*words, option, *values]


@pytest.mark.parametrize(
    ("words", "code", "wrong", "remedy"),
    [
        (instead("--methods", "full_finetun"), 2, "unknown method 'full_finetun'", "'full_finetune'"),
        (instead("--tasks", "sports/forgot"), 2, "'sports/forgot'", "'sports/forget'"),
        (instead("--facts", "sport"), 2, "unknown fact set 'sport'", "'sports'"),
        (instead("--facts", "sports:athletes-46"), 2, "'athletes-46'", "'athletes-64'"),
        (
            instead("--methods", "random_mlps[bugdet=0.1]"),
            2,
            "unknown setting of method random_mlps 'bugdet'",
            "'budget'",
        ),
        (instead("--methods", "random_mlps[budget=lots]"), 2, "budget='lots'", "float"),
        (instead("--methods", "random_mlps[budget"), 2, "not of the form", ""),
        (instead("--methods", "full_finetune[objective=edti]"), 2, "unknown objective 'edti'", "'edit'"),
        (instead("--methods", "none[steps=3]"), 2, "takes no settings", "none"),
        (instead("--methods", "random_mlps[budget=0.0001]"), 1, "smallest component", "smallest allowed budget is 0."),
        (instead("--model", "tinny"), 2, "unknown model 'tinny'", "'tiny'"),
        (instead("--model", "hf"), 2, "needs a model", "--model_args pretrained="),
        (instead("--suite", "demmo"), 2, "--suite says all of", ""),
        (["run", "--suite", "demmo"], 2, "unknown suite 'demmo'", "'demo'"),
        (["run", "--methods", "none"], 2, "nothing is said about facts", "--help"),
        (instead("--batch_size", "0"), 2, "--batch_size must be 1 or more", ""),
        (instead("--facts_file", "nowhere.csv"), 2, "there is no such file", ""),
        (instead("--retain_text", "nowhere.txt"), 2, "no retain text 'nowhere.txt'", "'world'"),
        (instead("--include", "nowhere"), 2, "there is no such folder", ""),
        (["show", "nowhere"], 2, "there is no record", "result.json"),
        (["leaderboard", "nowhere"], 2, "no results folder", ""),
        (["organism-report", "tin"], 2, "unknown organism 'tin'", "'tiny'"),
    ],
)
def test_it_is_refused_with_a_remedy(
    words: list[str],
    code: int,
    wrong: str,
    remedy: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)

    assert main(words) == code

    shown = capsys.readouterr().err
    assert wrong in shown
    assert remedy in shown
    assert "Traceback" not in shown
    assert not list(tmp_path.rglob("result.json"))


def test_a_missing_model_folder_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*RUN, "--model", "hf", "--model_args", f"pretrained={tmp_path / 'nowhere'}"]

    assert main(words) == 5
    assert "there is no model folder" in capsys.readouterr().err


def test_a_model_folder_without_safetensors_is_refused_whatever_else_it_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"never unpickled")

    assert main([*RUN, "--model", "hf", "--model_args", f"pretrained={tmp_path}"]) == 5
    shown = capsys.readouterr().err
    assert "no *.safetensors" in shown
    assert "save_pretrained" in shown


def test_a_model_that_the_hub_cannot_give_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    assert main([*RUN, "--model", "hf", "--model_args", "pretrained=nobody/nothing"]) == 5
    assert "'nobody/nothing'" in capsys.readouterr().err


def test_a_results_folder_that_cannot_be_written_is_found_before_any_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr("unlearnbench.running.runner.load", never)
    (tmp_path / "file").write_text("in the way")

    assert main([*RUN, "-o", str(tmp_path / "file" / "results")]) == 5
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_found_too(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)

    assert main([*RUN, "-o", str(tmp_path / "results")]) == 5


def test_an_answer_that_the_tokenizer_cannot_tell_apart_is_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "twins.py").write_text(
        "from dataclasses import dataclass\n"
        "from unlearnbench import Fact, FactSet, Split, register\n"
        "@register('twins')\n"
        "@dataclass(frozen=True)\n"
        "class Twins(FactSet):\n"
        "    'Facts one of whose answers begins another.'\n"
        "    version = 1\n"
        "    variants = ('all',)\n"
        "    def split(self, seed):\n"
        "        facts = [Fact(name, 'sport', f'Fact: {name} plays', 'golf', ('golf balls',)) for name in 'ABC']\n"
        "        return Split(facts[:1], facts[1:2], facts[2:], (), ())\n"
    )
    from unlearnbench.registry import fact_sets

    with fact_sets.remembered():
        words = ["--facts", "twins", "--methods", "none", "--tasks", "twins", "-o", str(tmp_path / "out")]
        code = main(["run", "--include", str(tmp_path), *words])

    assert code == 1
    shown = capsys.readouterr().err
    assert "fact 'sport:A'" in shown
    assert "'golf' from 'golf balls'" in shown
