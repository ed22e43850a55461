"""Factorial designs, and what a word resolves to."""

import json
from collections.abc import Callable

import pytest

from unlearnbench.cli import main
from unlearnbench.errors import UnknownName, UsageError
from unlearnbench.running.grid import crossed, read_grid
from unlearnbench.running.order import Request, ordered


def test_a_grid_is_read_with_commas_or_spaces_and_brackets_stay_whole() -> None:
    expected = {"localizer": ["random_mlps[budget=0.1,among=mlp]", "everything"], "objective": ["npo", "rmu"]}

    assert read_grid(["localizer=random_mlps[budget=0.1,among=mlp],everything,objective=npo,rmu"]) == expected
    assert read_grid(["localizer=random_mlps[budget=0.1,among=mlp]", "everything", "objective=npo,rmu"]) == expected


@pytest.mark.parametrize("words", [["npo"], ["objective="], ["objective=npo", "objective=rmu"]])
def test_a_grid_of_another_form_is_refused(words: list[str]) -> None:
    with pytest.raises(UsageError, match="--grid"):
        read_grid(words)


def test_every_combination_is_a_method_and_what_cannot_be_set_stays_once() -> None:
    found = crossed(
        ["none", "full_finetune[steps=3]"],
        {"epsilon": ["0.1", "0.2"], "objective": ["npo", "rmu"], "adversary": ["none", "targeted"]},
    )

    assert found == [
        "none",
        *(
            f"full_finetune[steps=3,objective={objective},{rest}]"
            for objective in ("npo", "rmu")
            for rest in ("adversary=none", "adversary=targeted,epsilon=0.1", "adversary=targeted,epsilon=0.2")
        ),
    ]


def test_an_unknown_key_is_refused_with_the_nearest_and_one_that_is_set_already_too() -> None:
    with pytest.raises(UnknownName) as refused:
        crossed(["full_finetune"], {"objectiv": ["npo"]})
    assert "'objective'" in refused.value.hint
    with pytest.raises(UnknownName, match="epsilon"):
        crossed(["full_finetune"], {"adversary": ["none"], "epsilon": ["0.1"]})
    with pytest.raises(UsageError, match="sets it itself"):
        crossed(["full_finetune[steps=3]"], {"steps": ["1", "2"]})
    with pytest.raises(UnknownName, match="npoo"):
        crossed(["full_finetune"], {"objective": ["npoo"], "beta": ["1"]})


def test_a_request_with_a_grid_plans_its_cells() -> None:
    request = Request(
        methods=["none", "full_finetune"],
        facts=["sports:people-16"],
        tasks=["sports/forget"],
        grid={"localizer": ["random_mlps", "everything"], "objective": ["npo", "log1mp", "npo"]},
    )

    labels = [cell.method_label for cell in ordered(request).cells]

    assert labels == [
        "none",
        "full_finetune[localizer=random_mlps,objective=npo]",
        "full_finetune[localizer=random_mlps,objective=log1mp]",
        "full_finetune[objective=npo]",
        "full_finetune[objective=log1mp]",
    ]


def test_the_command_crosses_and_says_what_is_wrong(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--grid", "objective=npo,log1mp", "adversary=none,sharpness", "--dry_run") == 0
    plan = capsys.readouterr().out
    assert plan.count("full_finetune[") == 4
    assert "full_finetune[adversary=sharpness,objective=log1mp]" in plan or "objective=log1mp" in plan

    assert run("--grid", "objektive=npo", "--dry_run") == 2
    assert "objective" in capsys.readouterr().err
    assert main(["run", "--suite", "demo", "--grid", "objective=npo"]) == 2
    assert "--grid" in capsys.readouterr().err


# -- show-method ---------------------------------------------------------------------------------------


def test_show_method_says_every_setting_of_every_part_and_what_departs_from_the_default(
    capsys: pytest.CaptureFixture[str],
) -> None:
    word = "full_finetune[localizer=shifted[localizer=early_mlps,by=2],objective=npo[beta=0.5],steps=7]"

    assert main(["show-method", word]) == 0

    shown = capsys.readouterr().out
    for line in ("method full_finetune: Fine-tune every parameter.", "steps = 7 (not 50)", "beta = 0.5 (not 0.1)"):
        assert line in shown
    assert "learning_rate = 0.002" in shown
    assert "  localizer shifted:" in shown
    assert "    localizer early_mlps:" in shown
    assert "  adversary none: No perturbation." in shown
    assert shown.splitlines()[-1].startswith("word: full_finetune[")


def test_show_method_as_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show-method", "lat_targeted[epsilon=0.2]", "--format", "json"]) == 0

    found = json.loads(capsys.readouterr().out)

    assert found["name"] == "lat_targeted"
    assert found["settings"]["steps"] == 50
    assert found["parts"]["adversary"]["settings"]["epsilon"] == 0.2
    assert found["parts"]["localizer"]["name"] == "everything"


def test_show_method_of_an_unknown_word_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show-method", "full_finetun"]) == 2

    assert "'full_finetune'" in capsys.readouterr().err
