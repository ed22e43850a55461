"""A user's own entries, one file each, written from CONTRIBUTING alone and found by `--include`."""

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from unlearnbench import registry
from unlearnbench.asking.place import AskingPlace, BaseWeights
from unlearnbench.asking.row import Metric, Row
from unlearnbench.asking.task import Task
from unlearnbench.cli import main
from unlearnbench.editing.localizer import Localizer
from unlearnbench.editing.objective import Batch, Objective
from unlearnbench.editing.place import EditingPlace
from unlearnbench.facts import Split
from unlearnbench.include import include
from unlearnbench.model.model import Model
from unlearnbench.records import store
from unlearnbench.records.record import Record
from unlearnbench.running.words import parse_method
from unlearnbench.settings import made

CONTRIBUTING = Path(__file__).parent.parent / "CONTRIBUTING.md"
NAMES = ("pushed_down", "last_mlps", "pushed_late", "shouting", "probe_by_layer")


@pytest.fixture
def mine(tmp_path: Path) -> Iterator[Path]:
    """A folder with the examples of CONTRIBUTING, each in its own file; forgotten afterwards."""
    folder = tmp_path / "mine"
    folder.mkdir()
    for name, body in re.findall(r"```python\n# mine/(\w+\.py)\n(.*?)```", CONTRIBUTING.read_text(), re.DOTALL):
        (folder / name).write_text(body)
    with ExitStack() as stack:
        for catalogue in registry.CATALOGUES:
            stack.enter_context(catalogue.remembered())
        yield folder


def run(mine: Path, *words: str) -> dict[str, Record]:
    """The records of a quick command, by label."""
    output = mine.parent / "out"
    command = ["run", "--include", str(mine), "--facts", "sports:people-16", *words, "-o", str(output)]
    assert main(command) == 0
    return {one.label: one for _, one in store.records(output)}


def test_there_is_an_example_of_each_kind(mine: Path) -> None:
    include(mine)

    assert {path.stem for path in mine.glob("*.py")} >= set(NAMES)
    assert registry.methods.broken == {}
    for catalogue, name in (
        (registry.objectives, "pushed_down"),
        (registry.localizers, "last_mlps"),
        (registry.methods, "pushed_late"),
        (registry.tasks, "shouting"),
        (registry.tasks, "probe_by_layer"),
        (registry.fact_sets, "capitals"),
    ):
        assert name in catalogue


@pytest.mark.parametrize("by", [0.1, 3.0])
def test_the_first_loss_of_an_included_objective_is_how_far_it_pushes(
    mine: Path, model: Model, split: Split, place: EditingPlace, by: float
) -> None:
    include(mine)

    (term,) = made(Objective, f"pushed_down[by={by}]").terms(model, split.for_methods(), place)

    loss = term.loss(Batch(0, split.forget[:5], (), ()))
    assert loss.item() == pytest.approx(by, rel=1e-4)


def test_an_included_objective_composes_with_every_localizer(
    mine: Path, llama: Model, split: Split, place: EditingPlace
) -> None:
    include(mine)
    localizers = list(registry.localizers)
    assert "last_mlps" in localizers

    demanding = {"fact_lookup", "inverted", "planted", "probe_rise", "shifted"}  # they refuse a random model
    demanding |= {"from_file", "exhaustive"}  # which needs a file, and which edits by itself

    for name in set(localizers) - demanding:
        word = f"full_finetune[localizer={name},objective=pushed_down[by=3],steps=3,batch_size=4,retain_batch=2]"
        method = parse_method(word).resolved(place.source)
        where = made(Localizer, name).localize(llama, split.for_methods(), place)
        with llama.restored(where.tensors):
            history = method.edit(llama, split.for_methods(), where, place)
        assert history[0]["forget"] == pytest.approx(3.0, rel=1e-4)
        assert len({row["forget"] for row in history}) > 1, "it is trained"


@pytest.mark.end_to_end
def test_the_record_names_every_part_and_a_probe_by_layer_is_a_curve(mine: Path) -> None:
    method = "full_finetune[localizer=last_mlps[count=2],objective=pushed_down[by=3.0],steps=2]"

    found = run(mine, "--methods", f"none,{method}", "--tasks", "sports/probe_by_layer,sports/shouting")

    parts = found[method].spec.method.parts
    assert {axis: (part.name, part.settings) for axis, part in parts.items()} == {
        "localizer": ("last_mlps", {"count": 2}),
        "objective": ("pushed_down", {"by": 3.0}),
        "adversary": ("none", {}),
    }
    assert set(found[method].localization.components) == {"mlp.4", "mlp.5"}
    (probe,) = (task for task in found["none"].tasks if task.spec.name == "sports/probe_by_layer")
    assert [metric.at for metric in probe.metrics if metric.name == "probe"] == [{"layer": layer} for layer in range(6)]
    last = found["none"].metric("sports/probe_by_layer")
    assert last is not None
    assert last.value == next(m.value for m in probe.metrics if m.at == {"layer": 5})


# -- the slot for attacks ------------------------------------------------------------------------------


def test_the_base_can_be_read_and_reading_gives_a_copy() -> None:
    before, now = {"a": torch.zeros(2)}, {"a": torch.ones(2), "b": torch.full((2,), 2.0)}
    base = BaseWeights((before, now))

    base["a"].add_(5)

    assert base["a"].tolist() == [0.0, 0.0], "copies made before the edit come first, and cannot be changed"
    assert base["b"].tolist() == [2.0, 2.0]
    assert sorted(base) == ["a", "b"]
    assert len(base) == 2
    with pytest.raises(KeyError):
        base["c"]


SEEN: list[dict[str, Any]] = []


@dataclass(frozen=True, kw_only=True)
class Recording(Task):
    """Ruins the model, and remembers what it was given."""

    primary: ClassVar[str] = "same"
    trains: ClassVar[bool] = True

    def metrics(self, split: Split) -> Sequence[Metric]:
        """One."""
        return [Metric("same", "same", "relearn_test", "robust", "min")]

    def rows(self, model: Model, split: Split, place: AskingPlace) -> list[Row]:
        """One row per fact of V."""
        name = model.components["mlp.0"].parameters[0]
        edited = not torch.equal(model.parameters[name], place.base[name])
        with torch.no_grad():
            for parameter in model.parameters.values():
                parameter.zero_()
        unchanged = bool(place.base[name].abs().max() > 0)
        SEEN.append(
            {"seed": place.seed, "edited": edited, "base kept": unchanged, "never known": len(place.never_known)}
        )
        return [Row(fact.id, fact.subject, "relearn_test", {"same": 1.0}) for fact in split.relearn_test]


@pytest.mark.end_to_end
def test_a_task_that_trains_gets_base_seed_and_never_known_facts_and_its_damage_is_undone(mine: Path) -> None:
    SEEN.clear()
    registry.register("recording")(Recording)
    registry.register("recording_again")(replace_name("Again"))

    found = run(
        mine,
        *("--methods", "none,full_finetune[steps=2,learning_rate=1e-4]", "--seeds", "0,1"),
        *("--tasks", "sports/recording,sports/recording_again,sports/maintain"),
    )

    assert [one["edited"] for one in SEEN] == [False] * 2 + [True] * 2 + [False] * 2 + [True] * 2
    assert all(one["base kept"] and one["never known"] > 0 for one in SEEN)
    assert len({one["seed"] for one in SEEN}) == 4, "another seed for each task and each run's seed"
    for one in found.values():
        kept = one.metric("sports/maintain")
        assert kept is not None
        assert kept.value > 0.5, "the model was put back before the next task"


def replace_name(name: str) -> type[Recording]:
    """The same attack as another class."""
    entry = type(name, (Recording,), {"__doc__": "Once more."})
    return dataclass(frozen=True, kw_only=True)(entry)


def test_a_facts_card_says_what_a_split_has(split: Split) -> None:
    card = registry.fact_sets["sports"]("people-16").card

    assert card.label == "sports:people-16"
    for form in card.forms:
        assert all(fact.has(form) for fact in split.forget)
    assert not replace(split.forget[0], edit_target=None).has("edit_target")


@dataclass(frozen=True, kw_only=True)
class Sulking(Task):
    """Says nothing."""

    primary: ClassVar[str] = "accuracy"
    order: ClassVar[int] = 1

    def metrics(self, split: Split) -> Sequence[Metric]:
        """One that never comes."""
        return [Metric("accuracy", "accuracy", "forget", "forget", "oracle")]

    def rows(self, model: Model, split: Split, place: AskingPlace) -> list[Row]:
        """Fails."""
        raise RuntimeError("not today")


@pytest.mark.end_to_end
def test_a_task_that_fails_is_no_reason_to_ask_no_other_and_is_asked_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with registry.tasks.remembered():
        registry.register("sulking")(Sulking)
        command = ["run", "--facts", "sports:people-16", "--methods", "none", "-o", str(tmp_path)]
        command += ["--tasks", "sports/sulking,sports/maintain"]

        assert main(command) == 1
        (path,) = store.result_files(tmp_path)
        assert [one.spec.name for one in store.load(path).tasks] == ["sports/maintain"]
        assert "not today" in capsys.readouterr().err

        assert main(command) == 1
        assert "0 of 1 runs are already" in capsys.readouterr().err


def test_a_task_that_is_called_like_a_battery_is_refused(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (mine / "shouting.py").read_text()
    (mine / "shouting.py").write_text(text.replace('@register("shouting")', '@register("quick")'))
    command = ["run", "--include", str(mine), "--facts", "sports:people-16", "--methods", "none", "--tasks", "sports"]

    assert main(command) == 2
    assert "a task cannot be called quick" in capsys.readouterr().err
