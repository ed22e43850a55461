"""A recorded run again: the same, or what differs first."""

from collections.abc import Callable
from pathlib import Path

import pytest

from unlearnbench.cli import main
from unlearnbench.editing import training
from unlearnbench.records import store

pytestmark = pytest.mark.end_to_end


def test_a_repeated_record_gives_the_same_hash(run: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    run("--methods", "random_mlps[objective=log1mp]", "-o", "out")
    ((folder, one),) = store.records(Path("out"))
    capsys.readouterr()

    assert main(["repeat", str(folder)]) == 0

    shown = capsys.readouterr().out
    assert shown.count(one.identity.result_hash) == 2
    assert "the same result" in shown


def test_a_repetition_that_comes_out_otherwise_names_the_first_item_that_differs(
    run: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run("--methods", "random_mlps", "-o", "out")
    ((folder, _),) = store.records(Path("out"))
    monkeypatch.setattr(training.Course, "rate", lambda course, step: 0.5 * course.learning_rate)
    capsys.readouterr()

    assert main(["repeat", str(folder)]) == 1

    assert "different: sports/forget: item 'sport:" in capsys.readouterr().out


def test_a_record_about_a_folder_is_repeated_when_it_is_said_where_the_folder_is(
    run: Callable[..., int], saved_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = ["--model", "hf", "--model_args", f"pretrained={saved_model}", "--retain_text", "world"]
    run(*model, "--methods", "none", "-o", "out", facts="sports:people-16[known=0]")
    ((folder, _),) = store.records(Path("out"))
    capsys.readouterr()

    assert main(["repeat", str(folder)]) == 2
    assert "--model_args pretrained=FOLDER" in capsys.readouterr().err
    assert main(["repeat", str(folder), "--model_args", f"pretrained={saved_model}"]) == 0
