"""`tasks/lm_eval/`: lm-eval asks the same questions as `unlearnbench run` and finds the same accuracies."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import lm_eval
import pytest
import yaml
from lm_eval.tasks import TaskManager

from unlearnbench import record, registry
from unlearnbench.asking import QuestionTask
from unlearnbench.cli import main
from unlearnbench.errors import UsageError
from unlearnbench.factset import FactSet
from unlearnbench.lm_eval_bridge.documents import load
from unlearnbench.model import Model

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning:lm_eval.*")

FOLDER = Path(__file__).parents[1] / "tasks" / "lm_eval"
FILES = sorted(FOLDER.glob("*.yaml"))
KEPT = {"sports": "sports:athletes-16", "counterfact": "counterfact:4[source=planted]"}
"""What the saved models forgot: too small to be what is asked by default."""


class Edited(NamedTuple):
    """A model that a run has edited and kept, and the run's record."""

    folder: Path
    run: record.Record

    def accuracy(self, task: str, part: str) -> float:
        """The accuracy in the record."""
        (found,) = [
            metric.value
            for metric in self.run.metrics
            if (metric.task, metric.part, metric.sample_field) == (task, part, "accuracy")
        ]
        return found


@pytest.fixture(scope="module")
def edited(random_models: Callable[..., Model], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Edited]:
    """A random model, edited by a run about this fact set and kept with `--save_model`; each once."""
    made: dict[str, Edited] = {}

    def make(facts: str) -> Edited:
        if facts not in made:
            work = tmp_path_factory.mktemp(facts)
            model = random_models("llama")
            model.network.save_pretrained(work / "base")
            model.tokenizer.save_pretrained(work / "base")
            words = ["run", "--facts", KEPT[facts], "--tasks", facts, "--seeds", "3", "--methods", "full_finetune"]
            words += ["--method_args", "steps=3,learning_rate=1e-2", "--retain_text", "world"]
            words += ["--model", "hf", "--model_args", f"pretrained={work / 'base'}"]
            assert main([*words, "-o", str(work / "results"), "--save_model", str(work / "kept")]) == 0
            ((_, run),) = record.records(work / "results")
            assert run.weights.edited_sha256 != run.weights.base_sha256
            made[facts] = Edited(work / "kept", run)
        return made[facts]

    return make


def settings(path: Path) -> dict[str, Any]:
    """What a task's YAML says: a question of a fact set, and which of its parts."""
    found = yaml.load(path.read_text("utf-8"), yaml.SafeLoader)
    return {"task": found["task"], **found["dataset_kwargs"]}


def manager(**metadata: Any) -> TaskManager:
    """lm-eval's own, with the folder that `tasks-path` prints and none of its 14,000 tasks."""
    return TaskManager(include_path=str(FOLDER), include_defaults=False, metadata=metadata or None)


def accuracies(folder: Path, names: list[str], **metadata: Any) -> dict[str, float]:
    """What lm-eval finds with its own `hf` model."""
    found: Mapping[str, Any] | None = lm_eval.simple_evaluate(
        model="hf",
        model_args={"pretrained": str(folder), "dtype": "float32"},
        tasks=names,
        task_manager=manager(pretrained=str(folder), **metadata),
        device="cpu",
        batch_size=32,
        bootstrap_iters=0,
    )
    assert found is not None
    return {name: found["results"][name]["acc,none"] for name in names}


def test_the_path_that_is_printed_is_the_folder_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tasks-path"]) == 0

    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert sorted(Path(printed.strip()).glob("*.yaml"))[0].resolve() == FILES[0]


def test_every_question_with_given_answers_has_a_file_and_every_file_a_question() -> None:
    sets: Mapping[str, type[FactSet]] = registry.fact_sets
    askable = {
        f"{name}_{question}"
        for name in KEPT
        for question in sets[name].questions
        if issubclass(registry.questions[question], QuestionTask)
    }

    assert {path.stem for path in FILES} == askable
    for path in FILES:
        said = settings(path)
        assert said["task"] == path.stem == f"{said['facts']}_{said['question']}"


def test_lm_eval_loads_every_file_by_its_name_and_by_the_tags() -> None:
    ours, names = manager(source="planted"), [path.stem for path in FILES]

    assert set(names) <= set(ours.all_tasks)
    for tag, expected in {
        "unlearnbench": names,
        **{f"unlearnbench_{facts}": [name for name in names if name.startswith(facts)] for facts in KEPT},
    }.items():
        assert sorted(ours.load([tag])["tasks"]) == expected
    for name, task in ours.load(names)["tasks"].items():
        documents = list(task.eval_docs)
        assert documents, name
        for document in documents[:3]:
            assert task.doc_to_text(document) == document["prompt"]
            assert task.doc_to_choice(document)[task.doc_to_target(document)] == document["choices"][document["gold"]]


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_lm_eval_finds_the_accuracy_of_the_run_that_made_the_model(path: Path, edited: Callable[[str], Edited]) -> None:
    said = settings(path)
    model = edited(said["facts"])

    found = accuracies(model.folder, [said["task"]])[said["task"]]

    assert found == pytest.approx(model.accuracy(f"{said['facts']}/{said['question']}", said["part"]), abs=1e-9)


def test_the_direction_of_every_file_is_that_of_the_record(edited: Callable[[str], Edited]) -> None:
    for path in FILES:
        said = settings(path)
        (higher,) = [m["higher_is_better"] for m in yaml.safe_load(path.read_text("utf-8"))["metric_list"]]
        name = f"{said['facts']}/{said['question']}"
        (direction,) = [
            metric.direction
            for metric in edited(said["facts"]).run.metrics
            if (metric.task, metric.part, metric.sample_field) == (name, said["part"], "accuracy")
        ]

        assert (direction == "max") is higher, path.name


# -- what is asked --------------------------------------------------------------------------------------


def test_a_model_that_no_run_has_kept_is_asked_what_the_metadata_say() -> None:
    asked = {"facts": "counterfact", "question": "forget", "part": "forget", "source": "planted"}

    few = load(**asked, variant="4", seed=0)["test"]
    other = load(**asked, variant="4", seed=1)["test"]
    more = load(**asked, variant="8", seed=0)["test"]

    assert (len(few), len(more)) == (4, 8)
    assert few["item"] != other["item"]
    assert set(few["item"]) == set(other["item"]) < set(more["item"])


def test_metadata_win_over_the_run_beside_the_model(edited: Callable[[str], Edited]) -> None:
    asked = {"facts": "counterfact", "question": "forget", "part": "forget"}
    folder = edited("counterfact").folder

    assert len(load(**asked, pretrained=str(folder))["test"]) == 4
    assert len(load(**asked, pretrained=str(folder), variant="8")["test"]) == 8
    assert (
        load(**asked, run=str(folder / "unlearnbench_run.json"))["test"]["item"]
        == (load(**asked, pretrained=str(folder))["test"]["item"])
    )


def test_a_misspelt_setting_a_broken_run_and_a_question_without_answers_are_refused(tmp_path: Path) -> None:
    asked = {"facts": "sports", "question": "forget", "part": "forget"}
    (tmp_path / "unlearnbench_run.json").write_text("{}")

    with pytest.raises(UsageError, match="'varant' is no setting of sports/forget") as caught:
        load(**asked, varant="athletes-16")
    assert caught.value.hint == "did you mean 'variant'?"
    with pytest.raises(UsageError, match=r"is not the unlearnbench_run\.json of a saved model"):
        load(**asked, pretrained=str(tmp_path))
    with pytest.raises(UsageError, match="puts no questions with given answers"):
        load(facts="counterfact", question="generation", part="forget", source="planted")


# -- the command ----------------------------------------------------------------------------------------


def test_the_command_lm_eval_gives_the_accuracies_of_the_run(edited: Callable[[str], Edited], tmp_path: Path) -> None:
    model = edited("sports")
    printed = subprocess.run(
        [sys.executable, "-m", "unlearnbench", "tasks-path"], capture_output=True, text=True, check=True
    ).stdout.strip()
    program = Path(sys.executable).with_name("lm_eval")
    words = ["--include_path", printed, "--tasks", "sports_forget,sports_paraphrase", "--model", "hf"]
    words += ["--model_args", f"pretrained={model.folder},dtype=float32", "--device", "cpu", "--batch_size", "32"]

    done = subprocess.run(
        [str(program), *words, "--output_path", str(tmp_path / "out")],
        cwd=tmp_path,
        env={**os.environ, "HF_DATASETS_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        timeout=900,
    )

    assert done.returncode == 0, done.stderr[-2000:]
    (path,) = (tmp_path / "out").rglob("results_*.json")
    found = json.loads(path.read_text("utf-8"))["results"]
    for question in ("forget", "paraphrase"):
        ours = model.accuracy(f"sports/{question}", "forget")
        assert found[f"sports_{question}"]["acc,none"] == pytest.approx(ours, abs=1e-9)
