"""The examples run as they are, from any folder."""

import math
import runpy
from pathlib import Path

import pytest

import unlearnbench
from unlearnbench.records import store

EXAMPLES = Path(__file__).parent.parent / "examples"
pytestmark = pytest.mark.end_to_end


def test_every_example_is_run_here() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {
        "edit_and_ask",
        "recompute_a_record",
        "what_comes_back",
        "where_an_edit_wrote",
        "which_component",
        "which_localizer",
        "which_method",
    }


def test_two_methods_are_edited_and_asked_and_a_record_of_theirs_is_recomputed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runpy.run_path(str(EXAMPLES / "edit_and_ask.py"))["main"](tmp_path)

    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0].partition("[")[0] for line in lines] == ["none"] * 2 + ["full_finetune"] * 2 + [
        "random_mlps"
    ] * 2
    path = next(path for path in store.result_files(tmp_path) if "random_mlps" in path.as_posix())
    assert runpy.run_path(str(EXAMPLES / "recompute_a_record.py"))["main"](path.parent) is True
    assert "0 differ" in capsys.readouterr().out


def test_a_composed_method_writes_where_it_was_told(capsys: pytest.CaptureFixture[str]) -> None:
    change = runpy.run_path(str(EXAMPLES / "where_an_edit_wrote.py"))["main"]()

    assert change
    assert all(norm > 0 for norm in change.values())
    assert "overlap" in capsys.readouterr().out


def test_one_component_is_edited_and_attacked_beside_its_references(capsys: pytest.CaptureFixture[str]) -> None:
    main = runpy.run_path(str(EXAMPLES / "which_component.py"))["main"]

    found = main(["tiny"], "sports:people-16", [0], 30, localizers=["named[components=mlp.2+mlp.3]"])["tiny"]

    base, unknown, edited = (row[0] for row in found.values())
    assert list(found) == ["base", "never-known", "named[components=mlp.2+mlp.3]"]
    assert base["forget accuracy"] > 0.9 > 0.5 > unknown["forget accuracy"]
    assert edited["forget edit_accuracy"] > base["forget edit_accuracy"]
    assert "V after T" in capsys.readouterr().out


def test_localizers_are_held_to_exact_patching_and_to_where_facts_were_taught(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main = runpy.run_path(str(EXAMPLES / "which_localizer.py"))["main"]

    found = main(["tiny-planted"], "sports:people-64", [0], no_edits=True)["tiny-planted"]

    gold, lookup, early = (found[word][0] for word in ("exact_patching", "fact_lookup[least=0]", "early_mlps"))
    assert gold["exact ρ, all"] == gold["exact r, all"] == pytest.approx(1)
    assert lookup["precision@1, MLPs"] == 1 > early["precision@1, MLPs"]
    assert found["attribution_patching[points=1]"][0]["passes"] == 4  # two forward, one backward that counts as two
    assert "exact ρ, all" not in lookup
    assert "| fact_lookup[least=0]" in capsys.readouterr().out


def test_a_localizer_agrees_with_a_truth_as_far_as_its_ranking_does() -> None:
    module = runpy.run_path(str(EXAMPLES / "which_localizer.py"))
    names = ["a", "b", "c", "d"]
    truth = dict(zip(names, [1.0, 2.0, 3.0, 10.0], strict=True))

    rho, r = module["agreement"](dict(zip(names, [0.1, 0.2, 0.3, 0.4], strict=True)), truth, names)
    assert rho == pytest.approx(1)
    assert 0 < r < 1
    assert all(math.isnan(value) for value in module["agreement"](dict.fromkeys(names, 1.0), truth, names))
    assert module["recovery"](truth, ["d"], names) == (1.0, 1.0)
    assert module["recovery"](truth, ["c"], names) == (pytest.approx(2 / 3), 0.0)
    assert module["recovery"](dict.fromkeys(names, 1.0), ["a"], names) == (0.5, 0.25)


def test_the_difference_of_two_edits_is_paired_by_seed_and_its_interval_is_students() -> None:
    from scipy.stats import ttest_rel

    module = runpy.run_path(str(EXAMPLES / "which_component.py"))
    mine, theirs = [0.9, 0.7, 0.8, 0.95], [0.5, 0.4, 0.6, 0.5]

    told = module["difference"]([{"v": a} for a in mine], [{"v": b} for b in theirs], "v")

    low, high = ttest_rel(mine, theirs).confidence_interval(0.95)
    assert told == f"+0.34 [{low:+.2f}, {high:+.2f}]"
    assert module["difference"]([{}], [{"v": 1.0}], "v") == "–"


def test_methods_stand_beside_their_references_with_intervals(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    module = runpy.run_path(str(EXAMPLES / "which_method.py"))

    found = module["main"](["tiny"], "counterfact:16", [0], ["full_finetune[steps=10]"])["tiny"]

    assert list(found) == ["base", "never-known", "full_finetune[steps=10]"]
    base, edited = found["base"][0], found["full_finetune[steps=10]"][0]
    assert base["school"] > 0.9
    assert base["neighbours"] > 0.9
    assert edited["seconds"] > 0
    assert edited["TFLOP"] > 0
    assert "| full_finetune[steps=10] |" in capsys.readouterr().out
    assert module["told"]([{"a": 0.2}, {"a": 0.4}, {"a": 0.6}], "a") == "0.40 ± 0.50"


def test_curves_of_recovery_are_read_from_records_and_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.syspath_prepend(EXAMPLES)
    module = runpy.run_path(str(EXAMPLES / "what_comes_back.py"))
    asked = ["sports/relearning[steps=2]"]
    unlearnbench.run(methods=["none"], facts=["sports:people-16"], tasks=asked, output_path=tmp_path)

    ((run,),) = module["main"]([tmp_path], tmp_path / "curves.png")["tiny"].values()

    assert run.recovery == 1
    assert run.curve[0] == 1
    assert set(run.curve) == {0, 1, 2}
    assert (tmp_path / "curves.png").stat().st_size > 10_000
    assert "| none     | 1.00" in capsys.readouterr().out


def test_half_is_back_between_the_looks_in_proportion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    steps_until = runpy.run_path(str(EXAMPLES / "what_comes_back.py"))["steps_until"]

    assert steps_until({0: 0.1, 10: 0.3, 20: 0.7}) == pytest.approx(15)
    assert steps_until({0: 0.6, 10: 0.3}) == 0
    assert steps_until({0: 0.1, 10: 0.3}) == math.inf
