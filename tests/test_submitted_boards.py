"""A board with submissions: nobody's numbers but one's own can be changed by what one submits."""

import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from unlearnbench.cli import main
from unlearnbench.hashing import bytes_hash
from unlearnbench.leaderboard.board import Board
from unlearnbench.leaderboard.document import document
from unlearnbench.leaderboard.entries import Read, read
from unlearnbench.leaderboard.page.contents import contents
from unlearnbench.leaderboard.ranking import Ranking
from unlearnbench.leaderboard.rankings import rankings
from unlearnbench.leaderboard.submissions.completeness import missing_cells
from unlearnbench.records import store
from unlearnbench.records.record import Record, TaskResult, sealed, task_result_hash
from unlearnbench.records.spec import EditSpec

ROOT = Path(__file__).parents[1]
OWN = ("none", "oracle", "embeddings")
Submit = Callable[..., Path]


def paths_of(method: str) -> list[Path]:
    """Two committed runs."""
    found = store.result_files(ROOT / "results/core-v1/tiny/sports-people-64" / method)
    return [path for path in found if not path.parent.name.startswith("seed-2")]


@pytest.fixture
def results(committed: Callable[..., Path], tmp_path: Path) -> Path:
    """A board of the committed runs of three methods on one model, and an empty folder for submissions."""
    committed(tmp_path / "core-v1", *(f"tiny/sports-people-64/{method}" for method in OWN))
    (tmp_path / "submissions").mkdir()
    return tmp_path


@pytest.fixture
def submit(results: Path) -> Submit:
    """Submits committed runs of a method, each changed, without asking the validator."""

    def submitted(
        name: str, method: str = "embeddings", change: Callable[[dict[str, Any]], object] = lambda _: None, **said: Any
    ) -> Path:
        folder = results / "submissions" / name
        for path in paths_of(method):
            content = json.loads(path.read_bytes())
            change(content)
            record = resealed(content)
            target = folder / record.spec.path
            shutil.copytree(path.parent, target)
            (target / "result.json").write_text(json.dumps(record.model_dump(mode="json")))
        listed(folder, **said)
        return folder

    return submitted


def resealed(content: dict[str, Any]) -> Record:
    """The record with hashes that match."""
    record = Record.model_validate_json(json.dumps(content))
    tasks = [one.model_copy(update={"spec_hash": one.spec.hash}) for one in record.tasks]
    edit = record.spec.hash
    hashes = [task_result_hash(edit, one.spec_hash, one.metrics, one.samples) for one in tasks]
    tasks = [one.model_copy(update={"result_hash": mine}) for one, mine in zip(tasks, hashes, strict=True)]
    return sealed(record.model_copy(update={"tasks": tasks}))


def listed(folder: Path, **said: Any) -> None:
    """The manifest of what is there."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.parent != folder]
    found = {
        "schema_version": "1.0.0",
        "name": folder.name,
        "submitter": "somebody",
        "description": "something",
        "tuning": {"trials": 0, "on": "nothing"},
        "files": [
            {"path": p.relative_to(folder).as_posix(), "sha256": bytes_hash(p.read_bytes()), "size": p.stat().st_size}
            for p in files
        ],
    }
    (folder / "submission.json").write_text(json.dumps(found | said))


def board(results: Path) -> Read:
    """The board and its submissions."""
    return read([results / "core-v1", results / "submissions"])


def table(found: Read) -> Ranking:
    """Its one ranking."""
    (one,) = rankings(found.entries).values()
    return one


def scores(found: Read) -> dict[str, float]:
    """S of everybody who is ranked."""
    return {row.method: row.axes["S"].value for row in table(found).placed if row.rank is not None}


@cache
def _alone() -> dict[str, float]:
    """S of the board without any submission."""
    found = read([ROOT / "results/core-v1/tiny/sports-people-64" / method for method in OWN])
    kept = [one for one in found.entries if one.record.spec.seed < 2]
    return scores(found._replace(entries=kept))


def unchanged(results: Path, found: Read) -> None:
    """The board's own rows are what they are without any submission, and all of it can be shown."""
    alone, now = _alone(), scores(found)
    assert {name: now[name] for name in alone} == alone
    assert document(Board.of(found.entries), ["results"], results / "x.md")
    assert (
        contents(Board.of(found.entries), ["results"], results / "x.html")["settings"][0]["facts"] == "sports:people-64"
    )


def test_an_honest_submission_is_a_row_of_its_own(results: Path, submit: Submit) -> None:
    """Also where it repeats a method that the board has: its numbers are its own."""
    folder = submit("mine")
    assert main(["submit", "verify", str(folder), "--board", str(results / "core-v1")]) == 0
    found = board(results)
    unchanged(results, found)
    assert scores(found)["embeddings · mine"] == scores(found)["embeddings"]
    assert not found.bad


@pytest.mark.parametrize("reference", ["none", "oracle"])
def test_nobody_brings_a_reference(results: Path, submit: Submit, reference: str) -> None:
    """Neither as it is, nor of another day, nor on a model that only looks the same."""
    submit("a-copy", reference)
    submit("later", reference, lambda content: content["sessions"][0].update(created_at="9999-01-01T00:00:00Z"))
    found = board(results)
    assert len([note for note in found.notes if f"runs of its own of {reference}" in note]) == 4
    unchanged(results, found)
    submit("like-it", reference, lambda content: content["spec"]["model"].update(attention="eager"))
    unchanged(results, board(results))


def test_more_seeds_of_a_reference_unrank_nobody(results: Path, submit: Submit) -> None:
    submit("seven", "none", lambda content: content["spec"].update(seed=7 + content["spec"]["seed"]))
    submit("empty", "none", lambda content: (content["spec"].update(seed=17), content.update(tasks=[])))
    unchanged(results, board(results))


def test_more_seeds_than_the_board_has_count_for_nothing(results: Path, submit: Submit) -> None:
    """The best of many seeds is no score: those of which the board has no `none` are shown and not ranked."""
    submit("many")
    submit("many-more", change=lambda content: content["spec"].update(seed=100 + content["spec"]["seed"]))
    found = board(results)
    unchanged(results, found)
    assert "embeddings · many" in scores(found)
    assert "embeddings · many-more" not in scores(found)
    assert {one.unranked for one in found.entries if one.submission and one.submission.name == "many-more"} == {
        "the board has no `none` of this model, these facts and this seed"
    }


def test_metrics_are_the_tasks_and_not_the_submitters(results: Path, submit: Submit) -> None:
    """A metric that averages something else follows from the item logs just as well, and is no entry."""

    def other_field(content: dict[str, Any]) -> None:
        for task in content["tasks"]:
            for metric in task["metrics"]:
                if task["spec"]["name"] == "sports/forget" and metric["name"] == "accuracy":
                    (other,) = [one for one in task["metrics"] if one["name"] == "edit_accuracy"]
                    metric.update({**other, "name": "accuracy", "primary": metric["primary"]})

    folder = submit("forged", change=other_field)
    found = board(results)
    assert len(found.bad) == 2
    assert "scored otherwise" in str(found.bad[0])
    unchanged(results, found)
    assert main(["submit", "verify", str(folder), "--board", str(results / "core-v1")]) == 4


def test_a_name_of_the_board_is_not_taken(results: Path, submit: Submit) -> None:
    """By no label, and by no copy of somebody else's runs."""
    submit("aaa")
    submit("zzz")
    submit("named", change=lambda content: content.update(label="none"))
    found = board(results)
    unchanged(results, found)
    assert {"embeddings · aaa", "embeddings · zzz", "none · named"} <= set(scores(found))


def test_only_a_maintainer_confirms_what_is_superseded(results: Path, submit: Submit) -> None:
    """Anybody may say that theirs takes the place of another's."""
    submit("old")
    new = submit("new", supersedes=["old"])
    words = ["submit", "verify", str(new), "--board", str(results / "core-v1")]
    assert main(words) == 0
    assert {"embeddings · old", "embeddings · new"} <= set(scores(board(results)))
    assert main([*words, "--badge"]) == 0
    found = board(results)
    assert "embeddings · old" not in scores(found)
    assert "embeddings · new" in scores(found)
    assert "superseded" in document(Board.of(found.entries), ["results"], results / "x.md")
    shown = {row["method"]: row for row in contents(Board.of(found.entries), ["results"], results / "x.html")["rows"]}
    assert shown["embeddings · old"]["unranked"] == "superseded"
    assert shown["embeddings · new"]["place"] is not None


def test_what_a_row_lacks_is_noted_before_it_is_submitted(
    results: Path, submit: Submit, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is needed is what the board's `none` was asked, at its seeds; no `none` of one's own is."""
    words = ["--board", str(results / "core-v1")]
    assert main(["submit", "verify", str(submit("whole")), *words]) == 0
    assert "note:" not in capsys.readouterr().err
    shutil.rmtree(results / "core-v1/tiny/sports-people-64/embeddings")
    folder = submit("part")
    for path in (folder / "tiny/sports-people-64/embeddings").glob("seed-1-*"):
        shutil.rmtree(path)
    listed(folder)
    assert main(["submit", "verify", str(folder), *words]) == 0
    assert "note: embeddings: no run at seed 1; what is not complete" in capsys.readouterr().err


def test_a_task_with_other_settings_is_named_with_the_boards(results: Path) -> None:
    board = [store.load(path) for path in paths_of("none")]
    other = [one.model_copy(update={"tasks": [_with_orders(task) for task in one.tasks]}) for one in board]
    mine = [one.model_copy(update={"spec": _called(one.spec, "mine")}) for one in other]
    assert missing_cells(mine, board) == [
        f"none: seed {seed} was not asked sports/multiple_choice[orders=cyclic]" for seed in (0, 1)
    ]


def _called(spec: EditSpec, name: str) -> EditSpec:
    return spec.model_copy(update={"method": spec.method.model_copy(update={"name": name})})


def _with_orders(task: TaskResult) -> TaskResult:
    settings = {**task.spec.settings, "orders": "all"} if "multiple" in task.spec.name else task.spec.settings
    return task.model_copy(update={"spec": task.spec.model_copy(update={"settings": settings})})


def test_a_badge_is_of_the_submission_that_was_checked(results: Path, submit: Submit) -> None:
    """A copy of its runs has none, and a changed manifest loses it."""
    folder = submit("checked")
    submit("copied")
    hashes = [store.load(path).identity.record_hash for path in store.result_files(folder)]
    badge = {
        "manifest_sha256": bytes_hash((folder / "submission.json").read_bytes()),
        "benchmark_version": "0",
        "checked_at": "2026-01-01",
        "runs": dict.fromkeys(hashes, "reproduced"),
    }
    (folder / "verified.json").write_text(json.dumps(badge))
    levels = {(one.submission.name if one.submission else "", one.level) for one in board(results).entries}
    assert levels == {("", "recomputed"), ("checked", "reproduced"), ("copied", "recomputed")}
    listed(folder, submitter="somebody else")
    assert any("what was verified is not" in str(error) for error in board(results).bad)


def test_a_broken_record_is_left_out_and_breaks_nothing(results: Path, submit: Submit) -> None:
    submit("sessionless", change=lambda content: content.update(sessions=[]))
    found = board(results)
    assert len(found.bad) == 2
    unchanged(results, found)


def test_a_second_table_of_the_same_facts_can_be_chosen_on_the_page(results: Path, submit: Submit) -> None:
    """And the board's own keeps its name, by which addresses of the page know it."""
    submit("seeds", change=lambda content: content["spec"].update(seed=100 + content["spec"]["seed"]))
    settings = contents(Board.of(board(results).entries), ["results"], results / "x.html")["settings"]
    assert settings[0]["facts"] == "sports:people-64"
    assert len({one["facts"] for one in settings}) == len(settings) == 2
    assert {one["fact_set"] for one in settings} == {"sports:people-64"}
