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

from unlearnbench import registry
from unlearnbench.asking.task import Task
from unlearnbench.cli import main
from unlearnbench.errors import UsageError
from unlearnbench.facts import Split
from unlearnbench.model.model import Model
from unlearnbench.records import store
from unlearnbench.records.record import MetricResult, Record
from unlearnbench.running.lm_eval_documents import FILE, Handout, load
from unlearnbench.running.words import parse_facts

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning:lm_eval.*")

FOLDER = Path(__file__).parents[1] / "tasks" / "lm_eval"
FILES = sorted(FOLDER.glob("*.yaml"))
FORGOTTEN = {"sports": "sports:athletes-16[known=0]", "counterfact": "counterfact:4[known=0,source=planted]"}
"""By the saved models: too few to be what is asked by default."""
PLANTED = {"facts": "counterfact", "task": "forget", "subset": "forget", "source": "planted"}


class Edited(NamedTuple):
    """A model that a run has edited and saved, and the run's record."""

    folder: Path
    run: Record

    def found(self, task: str, subset: str) -> MetricResult:
        """The accuracy in the record."""
        (found,) = [
            metric
            for one in self.run.tasks
            for metric in one.metrics
            if (one.spec.name, metric.subset, metric.sample_field) == (task, subset, "accuracy")
        ]
        return found


@pytest.fixture(scope="module")
def edited(random_models: Callable[..., Model], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Edited]:
    """A random model, edited by a run about this fact set and saved with `--save_model`; each once."""
    made: dict[str, Edited] = {}

    def make(facts: str) -> Edited:
        if facts not in made:
            work = tmp_path_factory.mktemp(facts)
            model = random_models("llama")
            model.network.save_pretrained(work / "base")
            model.tokenizer.save_pretrained(work / "base")
            words = ["run", "--facts", FORGOTTEN[facts], "--tasks", f"{facts}/questions", "--seeds", "3"]
            words += ["--methods", "full_finetune", "--method_args", "steps=3,learning_rate=1e-2"]
            words += ["--retain_text", "world", "--model", "hf", "--model_args", f"pretrained={work / 'base'}"]
            assert main([*words, "-o", str(work / "results"), "--save_model"]) == 0
            ((folder, run),) = store.records(work / "results")
            assert run.weights.edited_sha256 != run.weights.base_sha256
            made[facts] = Edited(folder / "model", run)
        return made[facts]

    return make


def settings(path: Path) -> dict[str, Any]:
    """What a YAML file says: its name, fact set, task and subset."""
    found = yaml.load(path.read_text("utf-8"), yaml.SafeLoader)
    return {"name": found["task"], **found["dataset_kwargs"]}


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


def test_every_task_with_given_answers_has_a_file_for_each_fact_set_that_it_can_be_asked_of() -> None:
    askable = set()
    entries: Mapping[str, type[Task]] = registry.tasks
    for name, word in FORGOTTEN.items():
        facts = parse_facts(word)
        split = facts.split(0)
        able = [task for task, entry in entries.items() if entry.about_facts and entry.needs <= facts.forms]
        for task in able:
            layout = {"layout": "lines"} if task == "multiple_choice" else {}
            if entries[task](**layout).questions(split):
                askable.add(f"{name}_{task}")

    assert {path.stem for path in FILES} == askable
    for path in FILES:
        said = settings(path)
        assert said["name"] == path.stem == f"{said['facts']}_{said['task']}"


def test_lm_eval_loads_every_file_by_its_name_and_by_the_tags() -> None:
    ours, names = manager(source="planted"), [path.stem for path in FILES]

    assert set(names) <= set(ours.all_tasks)
    for tag, expected in {
        "unlearnbench": names,
        **{f"unlearnbench_{facts}": [name for name in names if name.startswith(facts)] for facts in FORGOTTEN},
    }.items():
        assert sorted(ours.load([tag])["tasks"]) == expected
    for name, task in ours.load(names)["tasks"].items():
        documents = list(task.eval_docs)
        assert documents, name
        for document in documents[:3]:
            assert task.doc_to_text(document) == document["prompt"]
            assert task.doc_to_choice(document)[task.doc_to_target(document)] == document["gold"]


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_lm_eval_finds_the_accuracy_of_the_run_that_made_the_model(path: Path, edited: Callable[[str], Edited]) -> None:
    said = settings(path)
    model = edited(said["facts"])
    ours = model.found(f"{said['facts']}/{said['task']}", said["subset"])

    found = accuracies(model.folder, [said["name"]])[said["name"]]

    assert found == pytest.approx(ours.value, abs=1e-9)
    (higher,) = [one["higher_is_better"] for one in yaml.safe_load(path.read_text("utf-8"))["metric_list"]]
    assert higher == (ours.direction == "max")


# -- what is asked --------------------------------------------------------------------------------------


def test_what_a_run_asked_comes_back_from_its_file(split: Split, tmp_path: Path) -> None:
    handout = Handout("sports", 3, "inline", ("world",), split)
    (tmp_path / FILE).write_text(handout.as_json())

    found = Handout.read(tmp_path / FILE)

    assert found.split.items_hash == split.items_hash
    assert (found.facts, found.seed, found.layout, found.told) == ("sports", 3, "inline", ("world",))


def test_a_model_that_no_run_has_saved_is_asked_what_the_metadata_say() -> None:
    few = load(**PLANTED, variant="4", seed=0)["test"]
    other = load(**PLANTED, variant="4", seed=1)["test"]
    more = load(**PLANTED, variant="8", seed=0)["test"]

    assert (len(few), len(more)) == (4, 8)
    assert few["item"] != other["item"]
    assert set(few["item"]) == set(other["item"]) < set(more["item"])


def test_metadata_win_over_the_run_that_saved_the_model(edited: Callable[[str], Edited]) -> None:
    asked = {"facts": "counterfact", "task": "forget", "subset": "forget"}
    folder = edited("counterfact").folder

    saved = load(**asked, pretrained=str(folder))["test"]

    assert len(saved) == 4
    assert len(load(**PLANTED, pretrained=str(folder), variant="8")["test"]) == 8
    assert load(**asked, questions=str(folder / FILE))["test"]["item"] == saved["item"]
    assert len(load(facts="sports", task="forget", subset="forget", pretrained=str(folder))["test"]) == 64


def test_a_misspelt_setting_a_broken_file_and_a_task_without_answers_are_refused(tmp_path: Path) -> None:
    asked = {"facts": "sports", "task": "forget", "subset": "forget"}
    (tmp_path / FILE).write_text("{}")

    with pytest.raises(UsageError, match="'varant' is no setting of sports_forget") as caught:
        load(**asked, varant="athletes-16")
    assert caught.value.hint == "did you mean 'variant'?"
    with pytest.raises(UsageError, match=rf"is not the {FILE} of a saved model"):
        load(**asked, pretrained=str(tmp_path))
    with pytest.raises(UsageError, match="puts no questions with given answers"):
        load(**{**PLANTED, "task": "generation"})


# -- the command ----------------------------------------------------------------------------------------


@pytest.mark.end_to_end
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
    for task in ("forget", "paraphrase"):
        ours = model.found(f"sports/{task}", "forget").value
        assert found[f"sports_{task}"]["acc,none"] == pytest.approx(ours, abs=1e-9)
