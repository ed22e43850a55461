"""Any task of lm-eval as a side effect: its own metrics, as means that have an error."""

import logging
import math
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from unlearnbench.asking.place import AskingPlace
from unlearnbench.cli import main
from unlearnbench.errors import UsageError
from unlearnbench.facts import Split
from unlearnbench.lm_eval_bridge.documents import measured, values_of
from unlearnbench.lm_eval_bridge.evaluating import DocumentRow
from unlearnbench.lm_eval_bridge.tasks import load_tasks
from unlearnbench.model.model import Model
from unlearnbench.records import store
from unlearnbench.records.estimate import mean_over_clusters
from unlearnbench.records.recompute import contradictions
from unlearnbench.records.record import Record
from unlearnbench.running.words import side_effects
from unlearnbench.tasks.general import General

from .own_lm_eval_task import request, write_own_task

ROLLING = """
task: own_text
custom_dataset: !function data.load
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{name}} runs"
metric_list: [{metric: word_perplexity}, {metric: byte_perplexity}, {metric: bits_per_byte}]
"""
WRITING = """
task: own_writing
custom_dataset: !function answers.load
test_split: test
output_type: generate_until
doc_to_text: "Fact: {{name}} plays the sport of"
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["."], max_gen_toks: 6, do_sample: false}
filter_list:
  - {name: whole, filter: [{function: take_first}]}
  - {name: word, filter: [{function: regex, regex_pattern: "(\\\\S+)"}, {function: take_first}]}
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
"""
ANSWERS = """
import datasets

def load(**_):
    return {"test": datasets.Dataset.from_list(ROWS)}
"""
NAMES = ["Ann Lee", "Bo Rodgers", "Cy Young", "Di Dorn", "Ed", "Flo von der Au"]


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder with two tasks and their group."""
    folder = tmp_path / "own"
    write_own_task(folder, "own_games", ("acc", "acc_norm", "mcc"), NAMES)
    (folder / "text.yaml").write_text(ROLLING)
    (folder / "group.yaml").write_text("group: own_all\ntask: [own_games, own_text]\n")
    return folder


def words_for(saved_model: Path) -> list[str]:
    """A run that only looks at a small model."""
    return [
        *("run", "--model", "hf", "--model_args", f"pretrained={saved_model}", "--retain_text", "world"),
        *("--facts", "sports:athletes-16[known=0]", "--methods", "none", "--batch_size", "8"),
    ]


@pytest.fixture
def asked(own: Path, saved_model: Path, tmp_path: Path) -> Callable[..., Record]:
    """A run with these side effects, each from the folder; the record."""

    def run(name: str, *settings: str) -> Record:
        word = f"{name}[{','.join((f'folder={own}', *settings))}]"
        assert main([*words_for(saved_model), "--side_effects", word, "-o", str(tmp_path / "out")]) == 0
        (one,) = store.records(tmp_path / "out")
        return one[1]

    return run


def theirs(folder: Path, own: Path, task: str) -> dict[str, float]:
    """lm-eval's own results with its own model."""
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    model = HFLM(pretrained=str(folder), device="cpu", batch_size=4)
    manager = TaskManager(include_path=str(own), include_defaults=False)
    results = simple_evaluate(model, tasks=[task], task_manager=manager, bootstrap_iters=0, log_samples=False)
    assert results is not None
    found: dict[str, float] = results["results"][task]
    return found


def test_a_task_of_ones_own_gives_what_lm_eval_gives(
    asked: Callable[..., Record], own: Path, saved_model: Path
) -> None:
    one = asked("own_games")
    wanted = theirs(saved_model, own, "own_games")

    for name in ("acc", "acc_norm"):
        metric = one.metric("general/own_games", name)
        assert metric is not None
        assert metric.value == pytest.approx(wanted[f"{name},none"])
        assert (metric.n, metric.direction, metric.primary) == (len(NAMES), "max", name == "acc")


def test_a_perplexity_is_told_as_nats_or_bits_with_an_error(
    asked: Callable[..., Record], own: Path, saved_model: Path, tmp_path: Path
) -> None:
    one = asked("own_text")
    wanted = theirs(saved_model, own, "own_text")
    (task,) = one.tasks
    found = {metric.name: metric for metric in task.metrics}

    assert math.exp(found["nats_per_word"].value) == pytest.approx(wanted["word_perplexity,none"], rel=1e-4)
    assert math.exp(found["nats_per_byte"].value) == pytest.approx(wanted["byte_perplexity,none"], rel=1e-4)
    assert found["bits_per_byte"].value == pytest.approx(wanted["bits_per_byte,none"], rel=1e-4)
    for metric in found.values():
        assert metric.direction == "min"
        assert metric.stderr is not None
        assert metric.stderr > 0
    ((path, _),) = store.records(tmp_path / "out")
    lines = [dict(line) for line in store.load_rows(path, task.samples)]
    assert contradictions(task, lines) == []
    lines[0]["values"]["nats_per_word_weight"] += 1
    assert contradictions(task, lines) == ["general/own_text nats_per_word"]


def test_weights_of_whole_numbers_count_like_repeated_values() -> None:
    """And of a ratio of two sums, the error is that of linearization: brute force by repeating each value."""
    values = {"a": [0.1, 0.9], "b": [0.4], "c": [2.0]}
    weights = {"a": [1.0, 3.0], "b": [2.0], "c": [1.0]}
    repeated = {"a": [0.1, 0.9, 0.9, 0.9], "b": [0.4, 0.4], "c": [2.0]}

    mine, plain = mean_over_clusters(values, weights), mean_over_clusters(repeated)

    assert mine.value == pytest.approx(plain.value)
    assert mine.stderr == pytest.approx(plain.stderr)
    assert (mine.n, plain.n) == (4, 7)
    assert mean_over_clusters({"a": [0.3]}, {"a": [5.0]}).stderr is None


def test_what_is_no_mean_over_documents_is_left_out(own: Path) -> None:
    names = {metric.key for metric in measured(load_tasks(["own_games"], [own])["tasks"])}
    assert names == {"acc", "acc_norm"}  # Matthews' correlation is of all documents together


def test_a_group_tells_the_mean_of_its_documents_and_each_task(asked: Callable[..., Record]) -> None:
    (task,) = asked("own_all").tasks
    found = {(metric.name, metric.at.get("task")): metric for metric in task.metrics}

    assert found["acc", None].value == found["curve_acc", "own_games"].value
    assert ("curve_nats_per_word", "own_text") in found
    assert ("curve_acc", "own_text") not in found


def test_a_limit_is_of_the_whole_group_and_is_recorded(asked: Callable[..., Record]) -> None:
    (task,) = asked("own_all", "limit=6").tasks
    sizes = {metric.name: metric.n for metric in task.metrics}

    assert sizes["acc"] + sizes["nats_per_word"] == 6
    assert task.spec.settings["limit"] == 6


def test_side_effects_are_tasks_of_ours_or_of_lm_eval() -> None:
    assert side_effects(["mmlu[limit=50]", "hellaswag", "wikitext[limit=3]"]) == [
        "mmlu[limit=50]",
        "general/hellaswag",
        "general/wikitext[limit=3]",
    ]


@pytest.mark.parametrize(
    ("word", "complaint"),
    [("helaswag", "'hellaswag'"), ("own_games[folder=nowhere]", "no folder nowhere"), ("general", "general/hellaswag")],
)
def test_what_cannot_be_asked_is_refused_before_a_model_is_loaded(
    word: str, complaint: str, saved_model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> Model:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr("unlearnbench.running.runner.load", never)

    assert main([*words_for(saved_model), "--side_effects", word]) == 2
    assert complaint in capsys.readouterr().err


def test_every_filter_of_written_text_is_a_metric_of_its_own(
    asked: Callable[..., Record], own: Path, saved_model: Path
) -> None:
    from lm_eval.models.huggingface import HFLM

    until = {"until": ["."], "max_gen_toks": 6, "do_sample": False}
    requests = [request("generate_until", (f"Fact: {name} plays the sport of", until), 0) for name in NAMES]
    written = HFLM(pretrained=str(saved_model), device="cpu").generate_until(requests, disable_tqdm=True)
    answers = [*written[:2], *(text.split()[0] for text in written[2:5]), "none of it"]  # so that some are right
    rows = [{"name": name, "answer": answer} for name, answer in zip(NAMES, answers, strict=True)]
    (own / "answers.py").write_text(ANSWERS.replace("ROWS", repr(rows)))
    (own / "writing.yaml").write_text(WRITING)

    (task,) = asked("own_writing").tasks
    wanted = theirs(saved_model, own, "own_writing")

    found = {metric.name: metric.value for metric in task.metrics}
    assert found == {name: wanted[name] for name in ("exact_match,whole", "exact_match,word")}
    assert 0 < found["exact_match,whole"] < found["exact_match,word"] < 1


def test_nothing_of_the_process_is_changed(llama: Model, own: Path, small_split: Split, asking: AskingPlace) -> None:
    import datasets
    import huggingface_hub

    def state() -> list[object]:
        level = logging.getLogger("lm_eval").level
        places = (datasets.load_dataset, datasets.config.HF_HUB_OFFLINE, huggingface_hub.constants.HF_HUB_OFFLINE)
        streams = (random.getstate(), torch.random.get_rng_state().tolist())
        return [*places, datasets.are_progress_bars_disabled(), level, dict(os.environ), streams]

    before, weights = state(), llama.tensor_digests()

    rows = General(task="own_all", folder=own).rows(llama, small_split, asking)

    assert state() == before
    assert llama.tensor_digests() == weights
    assert {row.at.get("task") for row in rows} == {None, "own_games", "own_text"}


def test_a_changed_file_of_ones_own_is_another_question(own: Path, small_split: Split) -> None:
    before = General(task="own_games", folder=own).items_hash(small_split)
    path = own / "own_games.yaml"
    path.write_text(path.read_text().replace("plays the sport of", "is a player of"))
    assert General(task="own_games", folder=own).items_hash(small_split) != before


# -- what decides the numbers is part of the identity -----------------------------------------------------


def test_a_member_that_a_folder_puts_in_the_place_of_lm_evals_own_counts(tmp_path: Path, small_split: Split) -> None:
    folder = tmp_path / "mine"
    write_own_task(folder, "own_games")
    (folder / "group.yaml").write_text("group: mine_all\ntask: [own_games]\n")
    before = General(task="mine_all", folder=folder).items_hash(small_split)

    (folder / "data.py").write_text((folder / "data.py").read_text().replace("i % 3", "(i + 1) % 3"))
    assert General(task="mine_all", folder=folder).items_hash(small_split) != before


def test_data_outside_the_folder_count_and_results_inside_it_do_not(tmp_path: Path, small_split: Split) -> None:
    folder, data = tmp_path / "mine", tmp_path / "elsewhere.jsonl"
    write_own_task(folder, "own_games")
    path = folder / "own_games.yaml"
    data.write_text('{"name": "Ann Lee", "label": 1}\n')
    outside = f"dataset_path: json\ndataset_kwargs: {{data_files: {{test: {data}}}}}"
    path.write_text(path.read_text().replace("custom_dataset: !function data.load", outside))
    before = General(task="own_games", folder=folder).items_hash(small_split)

    (folder / "results" / "run").mkdir(parents=True)
    (folder / "results" / "run" / "result.json").write_text("{}")
    assert General(task="own_games", folder=folder).items_hash(small_split) == before

    data.write_text('{"name": "Ann Lee", "label": 1}\n{"name": "Bo Rodgers", "label": 0}\n')
    (folder / "touched.txt").write_text("so that it is loaded again")
    assert General(task="own_games", folder=folder).items_hash(small_split) != before


def test_examples_that_a_task_does_not_take_are_refused(own: Path, small_split: Split) -> None:
    path = own / "own_games.yaml"
    path.write_text(f"{path.read_text()}\nnum_fewshot: 0\n")

    with pytest.raises(UsageError, match="asked without examples"):
        General(task="own_games", folder=own, num_fewshot=2).metrics(small_split)
    assert General(task="own_games", folder=own).metrics(small_split)


def test_a_document_without_a_number_is_left_out_and_a_metric_without_a_direction_is_better_higher() -> None:
    def document(value: float) -> DocumentRow:
        return DocumentRow(0, "", "", "none", 0, (), {"skill": value})

    class Own:
        _filters: ClassVar = [type("Filter", (), {"name": "none"})]

        def higher_is_better(self) -> dict[str, bool | None]:
            return {"skill": None}

        def aggregation(self) -> dict[str, Any]:
            def nanmean(values: list[float]) -> float:
                return values[0]

            return {"skill": nanmean}

    assert values_of(document(0.5)) == {"skill": 0.5}
    assert values_of(document(math.nan)) == {}
    assert [one.better for one in measured({"own": Own()})] == ["max"]


@pytest.mark.end_to_end
def test_a_record_about_a_folder_is_repeated_where_it_is_said_again(
    asked: Callable[..., Record], own: Path, saved_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked("own_games")
    ((path, _),) = store.records(tmp_path / "out")
    model = ["--model_args", f"pretrained={saved_model}"]
    capsys.readouterr()

    assert main(["repeat", str(path), *model]) == 2
    assert "--task_args folder=PATH" in capsys.readouterr().err
    assert main(["repeat", str(path), *model, "--task_args", f"folder={own}"]) == 0
    assert "the same result" in capsys.readouterr().out
