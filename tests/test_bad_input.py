"""Bad input gets one clear error: what is wrong, what would work, and the documented exit code."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from unlearnbench.cli import main
from unlearnbench.editing.retain import CONTEXT, TEST_TEXTS, load_retain
from unlearnbench.facts import Split
from unlearnbench.model.model import Model

RUN = ["run", "--facts", "sports:people-16", "--methods", "none", "--tasks", "sports/forget"]


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
        (instead("--facts", "sports:people-46"), 2, "'people-46'", "'people-64'"),
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
        (instead("--methods", "random_mlps[budget=0.0001]"), 1, "best component", "smallest allowed budget is 0."),
        (instead("--model", "tinny"), 2, "unknown model 'tinny'", "'tiny'"),
        (instead("--model", "hf"), 2, "needs a model", "--model_args pretrained="),
        (instead("--suite", "demmo"), 2, "--suite says all of", ""),
        (["run", "--suite", "demmo"], 2, "unknown suite 'demmo'", "'demo'"),
        (["run", "--methods", "none"], 2, "nothing is said about facts", "--help"),
        (instead("--batch_size", "0"), 2, "--batch_size must be 1 or more", ""),
        (instead("--facts_file", "nowhere.csv"), 2, "there is no such file", ""),
        (instead("--facts", "sports:athletes-16"), 2, "tiny was never told of sports:athletes-16", "sports:people-64"),
        (instead("--retain_text", "nowhere.txt"), 2, "no retain text 'nowhere.txt'", "'world'"),
        (instead("--include", "nowhere"), 2, "there is no such folder", ""),
        (
            instead("--methods", "full_finetune[steps=99999999999999]"),
            2,
            "steps='99999999999999'",
            "less than or equal",
        ),
        (
            instead("--methods", "full_finetune[objective=log1mp[floor=3]]"),
            2,
            "setting floor='3' of objective log1mp",
            "",
        ),
        (instead("--base", "somewhere"), 2, "--base says what a finished edit was made from", "pretrained=EDITED"),
        (instead("--threads", "0"), 2, "--threads must be 1 or more", ""),
        (instead("--tasks", "sports/shout"), 2, "unknown task 'sports/shout'", "'sports/forget'"),
        (instead("--model_args", "dtype=float16"), 2, "takes no --model_args", ""),
        (["leaderboard", "."], 2, "there is no record below", "run something first"),
        (["repeat", "nowhere"], 2, "there is no record", "result.json"),
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
        "        facts = [Fact(name, 'sport', f'Fact: {name} plays', 'golf', ('golf balls',)) for name in 'ABCD']\n"
        "        return Split(facts[:1], facts[1:2], facts[2:3], (), facts[3:])\n"
    )
    from unlearnbench.registry import fact_sets

    with fact_sets.remembered():
        words = ["--facts", "twins", "--methods", "none", "--tasks", "twins", "-o", str(tmp_path / "out")]
        code = main(["run", "--include", str(tmp_path), *words])

    assert code == 1
    shown = capsys.readouterr().err
    assert "fact 'sport:A'" in shown
    assert "'golf' from 'golf balls'" in shown


def test_a_range_of_seeds_that_would_fill_the_memory_is_refused_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(instead("--seeds", "0-99999999999"))

    assert ended.value.code == 2
    assert "more than 10,000 seeds" in capsys.readouterr().err


def test_a_retain_text_that_is_no_text_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "binary").write_bytes(bytes(range(256)))

    assert main(instead("--retain_text", str(tmp_path / "binary"))) == 2
    assert "byte 128 is not UTF-8" in capsys.readouterr().err


@pytest.mark.end_to_end
def test_a_retain_text_of_very_long_lines_is_cut_before_it_is_tokenized(
    tmp_path: Path, llama: Model, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths = list[int]()
    (tmp_path / "long.txt").write_text("\n".join("one two three " * 50_000 for _ in range(2 * TEST_TEXTS)))
    real = type(llama.tokenizer).__call__

    def measuring(tokenizer: object, text: str, **named: object) -> object:
        lengths.append(len(text))
        return real(tokenizer, text, **named)

    monkeypatch.setattr(type(llama.tokenizer), "__call__", measuring)
    found = load_retain(llama, str(tmp_path / "long.txt"), split)

    assert max(lengths) <= 16 * CONTEXT
    assert {len(row) for row in (*found.train, *found.test)} == {CONTEXT}


@pytest.mark.end_to_end
@pytest.mark.parametrize("words", [["ls", "methods"], [*RUN, "--dry_run"]])
def test_a_terminal_without_these_characters_is_no_reason_to_stop(words: list[str], tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "unlearnbench", *words]

    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)

    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_an_interrupt_while_the_program_is_still_being_loaded_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("unlearnbench.cli.parser", interrupted)

    assert main(["ls", "methods"]) == 130
    assert capsys.readouterr().err == "interrupted: the same command resumes where it was\n"


@pytest.mark.end_to_end
def test_a_table_is_shown_though_its_folder_cannot_be_written_when_all_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*RUN, "-o", str(tmp_path / "out")]
    assert main(words) == 0
    capsys.readouterr()

    def never(*_: object) -> None:
        raise AssertionError("it was tried to write")

    monkeypatch.setattr("unlearnbench.running.loop.check_writable", never)

    assert main(words) == 0
    shown = capsys.readouterr()
    assert "1 of 1 runs are already" in shown.err
    assert "none" in shown.out


@pytest.mark.end_to_end
def test_records_behind_a_symbolic_link_are_found_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*RUN, "-o", str(tmp_path / "real")]) == 0
    (tmp_path / "board").mkdir()
    (tmp_path / "board" / "link").symlink_to(tmp_path / "real")
    (tmp_path / "board" / "again").symlink_to(tmp_path / "board")
    capsys.readouterr()

    assert main(["leaderboard", str(tmp_path / "board")]) == 0
    assert capsys.readouterr().out.count("none ") == 1
