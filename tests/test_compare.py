"""Methods against each other: what is compared, what is refused, and what is said."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unlearnbench.cli import main
from unlearnbench.leaderboard.comparing import Compared, Contestant, compared, verdict
from unlearnbench.leaderboard.comparison_table import as_csv, as_json, as_text
from unlearnbench.leaderboard.paired import holm
from unlearnbench.records import store
from unlearnbench.records.record import Record

pytestmark = pytest.mark.end_to_end
TASKS = {"sports/forget", "sports/maintain", "sports/multiple_choice"}
SPORTS = "tiny/sports-people-64"


@pytest.fixture(scope="module")
def results(committed: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real runs of two methods at two seeds, of one at another seed, and of one on other facts."""
    folder = committed(tmp_path_factory.mktemp("compare"), f"{SPORTS}/none", f"{SPORTS}/npo")
    committed(folder, f"{SPORTS}/random_mlps", seeds=[2])
    return committed(folder, "tiny/counterfact-64/none", seeds=[0])


@pytest.fixture(scope="module")
def found(results: Path) -> list[Compared]:
    """Everything that is compared of the first two."""
    records = store.records(results)
    folders = {one.identity.record_hash: folder for folder, one in records}

    def lines(record: Record, task: Any) -> Any:
        return store.load_rows(folders[record.identity.record_hash], task.samples)

    sides = [
        Contestant(name, {r.spec.seed: r for _, r in records if r.spec.method.name == name and r.spec.seed < 2})
        for name in ("none", "npo")
    ]
    return compared(sides, lines)


def test_a_difference_is_that_of_the_means_in_the_records(found: list[Compared], results: Path) -> None:
    assert {one.task for one in found} >= TASKS | {"sports/relearning"}
    records = [one for _, one in store.records(results) if one.spec.seed < 2]
    for one in found:
        # Of an attack it is what is answered after it, and not how far from the floor.
        for name, value in zip(("none", "npo"), one.values, strict=True) if one.task in TASKS else ():
            mine = [m.value for r in records if r.spec.method.name == name and (m := r.metric(one.task)) is not None]
            assert len(mine) == 2
            assert value == pytest.approx(np.mean(mine))
        assert one.change == pytest.approx(one.values[1] - one.values[0])
        assert one.low <= one.change <= one.high
        assert one.won + one.lost <= one.items
        assert (one.seeds, one.items % 2) == (2, 0)


def test_p_values_are_corrected_for_all_that_is_compared(found: list[Compared]) -> None:
    ordered = sorted(one.p for one in found)
    assert all(0 < p <= 1 for p in ordered)
    assert holm([p / (len(ordered) - i) for i, p in enumerate(ordered)])[-1] >= ordered[0]


def test_who_is_better_depends_on_what_is_asked_and_is_open_where_it_cannot_be_told(found: list[Compared]) -> None:
    def one(direction: str, change: float, p: float) -> Compared:
        return Compared("a", "b", f"t/{direction}", "x", direction, (0, 0), change, 0, 0, p, 0.1, 0, 0, 9, 2, 9)

    assert one("oracle", -0.5, 0.01).better == "b"
    assert one("max", -0.5, 0.01).better == "a"
    assert one("max", 0.5, 0.01).better == "b"
    assert one("max", 0.5, 0.2).better is None
    said = verdict("a", "b", [one("oracle", -0.5, 0.01), one("max", -0.5, 0.01), one("min", 0.5, 0.2)])
    assert said == (
        "b is better than a on oracle, and is worse on max, and cannot be told from it on min,"
        " where a difference of 0.10 would have been missed one time in five."
    )


def test_every_format_says_the_same(found: list[Compared]) -> None:
    lines = list(csv.DictReader(io.StringIO(as_csv(found))))
    document = json.loads(as_json(found))

    assert len(lines) == len(document["compared"]) == len(found)
    for line, plain, one in zip(lines, document["compared"], found, strict=True):
        assert (line["task"], plain["task"]) == (one.task, one.task)
        assert float(line["change"].lstrip("'")) == plain["change"] == one.change
    assert document["verdicts"][0]["verdict"] == verdict("none", "npo", found)
    for style in ("simple", "github", "latex_booktabs"):
        shown = as_text(found, style)
        assert verdict("none", "npo", found) in shown
        assert f"{found[0].change:+.3f}".replace("-", "−") in shown


def test_the_command_takes_labels_folders_and_saved_models(
    results: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folders = {r.spec.method.name: folder.parent for folder, r in store.records(results) if r.spec.seed < 2}
    by_label = ["none", "npo", "--results", str(results), "--facts", "sports:people-64"]
    assert main(["compare", str(folders["none"]), str(folders["npo"]), "--format", "json"]) == 0
    by_folder = capsys.readouterr().out
    assert main(["compare", *by_label, "--format", "json"]) == 0
    assert capsys.readouterr().out == by_folder


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["none"], "two different methods"),
        (["none", "none"], "two different methods"),
        (["npo", "nopo"], "unknown method 'nopo'"),
        (["npo", "random_mlps"], "none in common"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_the_field(
    words: list[str], complaint: str, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *words, "--results", str(results)]) == 2
    assert complaint in capsys.readouterr().err


def test_other_facts_are_named(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = next(folder for folder, r in store.records(results) if r.spec.method.name == "npo")
    other = next(folder for folder, r in store.records(results) if r.spec.facts.name == "counterfact")

    assert main(["compare", str(one), str(other)]) == 2
    assert "the facts is sports:people-64 and counterfact:64" in capsys.readouterr().err
