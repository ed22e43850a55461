"""lm-eval's tasks through our `lm`: found by name, asked, and read document by document."""

import math
from pathlib import Path

import pytest

from unlearnbench.errors import MissingPrerequisite, UnknownName, UsageError
from unlearnbench.lm_eval_bridge import tasks
from unlearnbench.lm_eval_bridge.evaluating import document_rows, evaluate
from unlearnbench.lm_eval_bridge.scorer import SharedPrefixLM
from unlearnbench.lm_eval_bridge.tasks import load_tasks
from unlearnbench.model.model import Model

from .hflm import assert_equal, hflm, requests_of

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning:lm_eval.*")


# -- whole tasks ----------------------------------------------------------------------------------------

TASK = """
task: {name}
tag: games
custom_dataset: !function data.load
test_split: test
output_type: {kind}
doc_to_text: "Fact: {{{{name}}}} plays the sport of"
doc_to_target: label
{more}
metadata: {{version: 1.0}}
"""
CHOICES = "doc_to_choice: [football, ice hockey, golf]\nmetric_list: [{metric: acc}, {metric: acc_norm}]"
ROLLING = "metric_list: [{metric: word_perplexity}]"
GROUP = "group: all_games\ntask: [own_sports, {group: inner, task: [own_text]}]\n"
DATA = """
import datasets

def load(**_):
    names = ["Ann Lee", "Bo Rodgers", "Cy Young", "Di Dorn"]
    return {"test": datasets.Dataset.from_list([{"name": n, "label": i % 3} for i, n in enumerate(names)])}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two tasks and a group of both."""
    (tmp_path / "sports.yaml").write_text(TASK.format(name="own_sports", kind="multiple_choice", more=CHOICES))
    text = TASK.format(name="own_text", kind="loglikelihood_rolling", more=ROLLING)
    (tmp_path / "text.yaml").write_text(text.replace("doc_to_target: label", 'doc_to_target: "{{name}} runs"'))
    (tmp_path / "group.yaml").write_text(GROUP)
    (tmp_path / "data.py").write_text(DATA)
    return tmp_path


def test_rows_say_what_was_answered_to_each_document(llama: Model, folder: Path) -> None:
    lm = SharedPrefixLM(llama)

    results = evaluate(lm, load_tasks(["own_sports"], [folder]))

    rows = document_rows(results)["own_sports"]
    assert [row.doc_id for row in rows] == [0, 1, 2, 3]
    assert [row.target for row in rows] == [0, 1, 2, 0]
    assert len({row.doc_hash for row in rows}) == len({row.prompt_hash for row in rows}) == 4
    asked = [("Fact: Bo Rodgers plays the sport of", f" {game}") for game in ("football", "ice hockey", "golf")]
    assert_equal(rows[1].answers, lm.loglikelihood(requests_of(asked)))
    best = [max(range(3), key=lambda i: row.answers[i][0]) for row in rows]
    assert [row.metrics["acc"] for row in rows] == [float(b == row.target) for b, row in zip(best, rows, strict=True)]
    assert results["results"]["own_sports"]["acc,none"] == sum(row.metrics["acc"] for row in rows) / 4


def test_results_are_those_of_lm_eval_with_hflm(llama: Model, folder: Path) -> None:
    from lm_eval.evaluator import evaluate as evaluate_as_lm_eval

    ours = evaluate(SharedPrefixLM(llama), load_tasks(["all_games"], [folder]))

    theirs = evaluate_as_lm_eval(hflm(llama), load_tasks(["all_games"], [folder]), bootstrap_iters=0)
    assert theirs is not None
    assert ours["results"].keys() == theirs["results"].keys()
    for task in ("own_sports", "own_text"):
        hashes = [[(row.doc_hash, row.prompt_hash) for row in document_rows(r)[task]] for r in (ours, theirs)]
        assert hashes[0] == hashes[1]
        for metric, value in theirs["results"][task].items():
            assert ours["results"][task][metric] == (
                pytest.approx(value, rel=1e-4) if isinstance(value, float) else value
            )


def test_a_perplexity_keeps_its_weights(llama: Model, folder: Path) -> None:
    results = evaluate(SharedPrefixLM(llama), load_tasks(["own_text"], [folder]))

    rows = document_rows(results)["own_text"]
    pairs = [row.metrics["word_perplexity"] for row in rows]
    total, words = (sum(pair[i] for pair in pairs if isinstance(pair, tuple)) for i in range(2))
    assert results["results"]["own_text"]["word_perplexity,none"] == pytest.approx(math.exp(-total / words))
    assert all(row.answers == () for row in rows)


def test_samples_are_numbered_by_their_place_in_the_data_in_whatever_order_they_are_named(
    llama: Model, folder: Path
) -> None:
    lm, loaded = SharedPrefixLM(llama), load_tasks(["own_sports"], [folder])
    everything = {row.doc_id: row.prompt_hash for row in document_rows(evaluate(lm, loaded))["own_sports"]}

    some = document_rows(evaluate(lm, loaded, samples={"own_sports": [3, 1]}))["own_sports"]

    assert [row.doc_id for row in some] == [1, 3]
    assert all(everything[row.doc_id] == row.prompt_hash for row in some)
    with pytest.raises(UsageError):
        evaluate(lm, loaded, samples={"own_sports": []})
    with pytest.raises(UsageError):
        evaluate(lm, loaded, limit=0)


# -- finding tasks --------------------------------------------------------------------------------------


def test_groups_and_tags_bring_their_tasks(folder: Path) -> None:
    assert set(load_tasks(["all_games"], [folder])["tasks"]) == {"own_sports", "own_text"}
    assert set(load_tasks(["games"], [folder])["tasks"]) == {"own_sports", "own_text"}


def test_shots_are_set_as_lm_eval_sets_them(folder: Path) -> None:
    (folder / "pinned.yaml").write_text("include: sports.yaml\ntask: pinned\nnum_fewshot: 0\n")
    (folder / "three.yaml").write_text("include: sports.yaml\ntask: three\nnum_fewshot: 3\n")
    names = ["own_sports", "pinned", "three"]

    unset, two = (load_tasks(names, [folder], shots)["tasks"] for shots in (None, 2))

    assert [unset[name].config.num_fewshot for name in names] == [0, 0, 3]
    assert [two[name].config.num_fewshot for name in names] == [2, 0, 2]


def test_an_unknown_task_is_named_with_the_nearest_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unlearnbench.lm_eval_bridge.tasks.OWN", folder)

    with pytest.raises(UnknownName) as refused:
        load_tasks(["own_sprots"], [folder])

    assert "did you mean 'own_sports'?" in refused.value.hint


def test_a_broken_file_is_named_instead_of_being_skipped(folder: Path) -> None:
    (folder / "broken.yaml").write_text("task: broken\ndoc_to_text: [\n")

    with pytest.raises(UsageError, match=r"broken\.yaml cannot be read"):
        load_tasks(["broken"], [folder])


def test_a_task_and_its_group_are_not_both_taken(folder: Path) -> None:
    with pytest.raises(UsageError) as refused:
        load_tasks(["own_sports", "all_games"], [folder])

    assert "not both" in refused.value.hint


def test_a_folder_of_tasks_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MissingPrerequisite):
        load_tasks(["own_sports"], [tmp_path / "nowhere"])


def test_a_dataset_out_of_reach_is_named_at_once_and_a_folder_can_stand_in_for_it(tmp_path: Path) -> None:
    name = "nobody/nothing-of-this-name"
    text = TASK.format(name="far", kind="multiple_choice", more=CHOICES)
    (tmp_path / "far.yaml").write_text(text.replace("custom_dataset: !function data.load", f"dataset_path: {name}"))
    data = tmp_path / "data"
    data.mkdir()
    (data / "test.jsonl").write_text('{"name": "Ann Lee", "label": 1}\n')

    with pytest.raises(MissingPrerequisite, match=name) as refused:
        load_tasks(["far"], [tmp_path])

    assert "cache" in str(refused.value)
    assert "folder=FOLDER" in refused.value.hint
    found = load_tasks(["far"], [tmp_path], data={name: data})["tasks"]["far"]
    assert found.eval_docs["name"][:] == ["Ann Lee"]


def test_a_task_of_lm_eval_needs_one_folder_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tasks._folders_of(["arc_easy"], ()) == {tasks.OWN / "arc"}
    assert tasks._folders_of(["mmlu"], ()) == {tasks.OWN / "mmlu" / "default"}  # with its groups' groups and tags
    monkeypatch.setattr("unlearnbench.lm_eval_bridge.data._hub_answers", lambda: False)
    with pytest.raises(MissingPrerequisite, match="ai2_arc"):
        load_tasks(["arc_easy"])


def test_tags_are_inherited_from_templates_unless_a_file_has_its_own(folder: Path) -> None:
    (folder / "_template").write_text("tag: [shared, more]\n")
    (folder / "one.yaml").write_text('"include": _template\n"task": "one"\n')
    (folder / "two.yaml").write_text("include: one.yaml\ntask: two\n")
    (folder / "three.yaml").write_text("include: _template\ntask: three\ntag:\n  - alone\n")
    (folder / "ring.yaml").write_text("include: ring.yaml\ntask: ring\n")

    found = tasks._definitions.__wrapped__(folder)

    assert (
        {path.stem for path in found["shared"]} == {path.stem for path in found["more"]} == {"_template", "one", "two"}
    )
    assert [path.stem for path in found["alone"]] == ["three"]
    assert [path.stem for path in found["one"]] == ["one"]


def test_an_unknown_name_is_refused_before_anything_is_loaded(folder: Path) -> None:
    tasks.refuse_unknown("own_text", [folder])
    tasks.refuse_unknown("arc_easy")
