"""Any task of lm-eval as a side effect: its own metrics, as means that have an error."""

import logging
import math
import os
import random
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

from unlearnbench import record, registry
from unlearnbench.cli import main
from unlearnbench.lm_eval_bridge.rows import metrics_of
from unlearnbench.lm_eval_bridge.tasks import load_tasks
from unlearnbench.model import Model
from unlearnbench.retain import RetainText
from unlearnbench.split import Split
from unlearnbench.task import Examination
from unlearnbench.tasks.general import General

from .own_lm_eval_task import write_own_task

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
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two tasks and their group, for `--include`."""
    folder = tmp_path / "own"
    folder.mkdir()
    write_own_task(folder, "own_games", ("acc", "acc_norm", "mcc"), NAMES)
    (folder / "text.yaml").write_text(ROLLING)
    (folder / "group.yaml").write_text("group: own_all\ntask: [own_games, own_text]\n")
    monkeypatch.setattr(registry, "_included", [])
    return folder


@pytest.fixture
def asked(own: Path, saved_model: Path, tmp_path: Path) -> Callable[..., record.Record]:
    """Runs with side effects; the record."""

    def run(*words: str) -> record.Record:
        base = ["--model", "hf", "--model_args", f"pretrained={saved_model}", "--retain_text", "world"]
        base += ["--facts", "sports:athletes-16", "--methods", "none", "--tasks", "sports/forget"]
        assert main(["run", "--include", str(own), *base, *words, "-o", str(tmp_path / "out")]) == 0
        return next(one for _, one in record.records(tmp_path / "out"))

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
    asked: Callable[..., record.Record], own: Path, saved_model: Path
) -> None:
    one = asked("--side_effects", "own_games")
    wanted = theirs(saved_model, own, "own_games")

    for name in ("acc", "acc_norm"):
        metric = one.metric("general/own_games", name)
        assert metric is not None
        assert metric.value == pytest.approx(wanted[f"{name},none"])
        assert metric.n == len(NAMES)
        assert metric.direction == "max"


def test_a_perplexity_is_told_as_nats_or_bits_with_an_error(
    asked: Callable[..., record.Record], own: Path, saved_model: Path
) -> None:
    one = asked("--side_effects", "own_text")
    wanted = theirs(saved_model, own, "own_text")
    found = {m.name: m for m in one.metrics if m.task == "general/own_text"}

    assert math.exp(found["nats_per_word"].value) == pytest.approx(wanted["word_perplexity,none"], rel=1e-4)
    assert math.exp(found["nats_per_byte"].value) == pytest.approx(wanted["byte_perplexity,none"], rel=1e-4)
    assert found["bits_per_byte"].value == pytest.approx(wanted["bits_per_byte,none"], rel=1e-4)
    for metric in found.values():
        assert metric.direction == "min"
        assert metric.stderr is not None
        assert metric.stderr > 0


def test_what_is_no_mean_over_documents_is_left_out(own: Path) -> None:
    names = {metric.name for metric in metrics_of(load_tasks(["own_games"], [own])["tasks"])}
    assert names == {"acc", "acc_norm"}  # Matthews' correlation is of all documents together


def test_a_group_brings_all_its_tasks_with_their_names(asked: Callable[..., record.Record]) -> None:
    one = asked("--side_effects", "own_all")
    names = {metric.name for metric in one.metrics if metric.task == "general/own_all"}
    assert {"own_games:acc", "own_text:nats_per_word"} <= names


def test_a_limit_is_of_the_whole_group_and_is_recorded(asked: Callable[..., record.Record]) -> None:
    one = asked("--side_effects", "own_all", "--limit", "6")
    sizes = {metric.name: metric.n for metric in one.metrics if metric.task == "general/own_all"}
    (task,) = [task for task in one.spec.tasks if task.name == "general/own_all"]

    assert sizes["own_games:acc"] + sizes["own_text:nats_per_word"] == 6
    assert task.settings["limit"] == 6
    assert "lm_eval" in task.inputs


def test_an_unknown_task_is_refused_with_the_nearest_before_a_model_is_loaded(
    own: Path, saved_model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> Model:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr("unlearnbench.runner.load", never)
    words = ["--model", "hf", "--model_args", f"pretrained={saved_model}", "--retain_text", "world"]
    words += ["--facts", "sports:athletes-16", "--methods", "none", "--side_effects", "helaswag"]

    assert main(["run", "--include", str(own), *words]) == 2
    assert "'hellaswag'" in capsys.readouterr().err


def test_every_filter_of_written_text_is_a_metric_of_its_own(
    asked: Callable[..., record.Record], own: Path, saved_model: Path
) -> None:
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    until = {"until": ["."], "max_gen_toks": 6, "do_sample": False}
    requests = [Instance("generate_until", {}, (f"Fact: {name} plays the sport of", until), 0) for name in NAMES]
    written = HFLM(pretrained=str(saved_model), device="cpu").generate_until(requests, disable_tqdm=True)
    answers = [*written[:2], *(text.split()[0] for text in written[2:5]), "none of it"]  # so that some are right
    rows = [{"name": name, "answer": answer} for name, answer in zip(NAMES, answers, strict=True)]
    (own / "answers.py").write_text(ANSWERS.replace("ROWS", repr(rows)))
    (own / "writing.yaml").write_text(WRITING)

    one = asked("--side_effects", "own_writing")
    wanted = theirs(saved_model, own, "own_writing")

    found = {metric.name: metric.value for metric in one.metrics if metric.task == "general/own_writing"}
    assert found == {name: wanted[name] for name in ("exact_match,whole", "exact_match,word")}
    assert 0 < found["exact_match,whole"] < found["exact_match,word"] < 1


def test_nothing_of_the_process_is_changed(llama: Model, own: Path, small_split: Split) -> None:
    import datasets
    import huggingface_hub

    def state() -> list[object]:
        level = logging.getLogger("lm_eval").level
        places = (datasets.load_dataset, datasets.config.HF_HUB_OFFLINE, huggingface_hub.constants.HF_HUB_OFFLINE)
        streams = (random.getstate(), torch.random.get_rng_state().tolist())
        return [*places, datasets.are_progress_bars_disabled(), level, dict(os.environ), streams]

    registry._included.append(own)
    before, weights = state(), llama.tensor_digests()

    rows = General(task="own_all").rows(llama, Examination(small_split, 4, RetainText([], []), nullcontext))

    assert state() == before
    assert llama.tensor_digests() == weights
    assert {row.part for row in rows} == {"own_games", "own_text"}


def test_a_changed_file_of_ones_own_is_another_run(own: Path, asked: Callable[..., record.Record]) -> None:
    asked("--side_effects", "own_games")
    path = own / "own_games.yaml"
    path.write_text(path.read_text().replace("plays the sport of", "is a player of"))

    asked("--side_effects", "own_games")
    assert len({one.spec.hash for _, one in record.records(own.parent / "out")}) == 2
