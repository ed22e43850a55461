"""Words become complete runs, each of one identity; what cannot be run is planned with the reason."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from unlearnbench import registry
from unlearnbench.asking.task import BATTERIES
from unlearnbench.editing.objective import Objective
from unlearnbench.errors import UnknownName, UsageError
from unlearnbench.hashing import content_hash
from unlearnbench.model.source import ModelSource
from unlearnbench.registry import register
from unlearnbench.running.plan import Cell, plan, planned_again
from unlearnbench.running.words import beside_facts, parse_facts, parse_method, parse_tasks
from unlearnbench.tasks.facts.sports import Sports

QUESTIONS = ("forget", "paraphrase", "multiple_choice", "maintain")


def a_source(**changes: Any) -> ModelSource:
    """A model source of which no file exists."""
    given = {
        "kind": "organism",
        "name": "tiny",
        "weights_sha256": "sha256:" + "0" * 64,
        "config_sha256": "sha256:c",
        "tokenizer_sha256": "sha256:t",
        "layout": "inline",
        "learning_rate": 1e-3,
        "retain_text": "world",
    }
    return ModelSource(**{**given, **changes})


def planned(
    *words: str,
    facts: tuple[str, ...] = ("sports",),
    tasks: tuple[str, ...] = ("sports/forget",),
    seeds: tuple[int, ...] = (0,),
    batch_size: int = 64,
    source: ModelSource | None = None,
) -> list[Cell]:
    """The cells of a command."""
    return plan(
        methods=[parse_method(word, {}) for word in words],
        facts=[parse_facts(word) for word in facts],
        tasks=tasks,
        seeds=seeds,
        source=source or a_source(),
        batch_size=batch_size,
    )


def test_questions_are_what_is_asked_of_the_model_as_it_is() -> None:
    found = parse_tasks(["sports/questions"], [parse_facts("sports")], a_source())[0]

    assert list(found) == [f"sports/{question}" for question in QUESTIONS]
    assert [task.name for task in found.values()] == list(QUESTIONS)


def test_each_battery_has_all_that_the_one_before_it_has_and_the_bare_name_is_the_default_one() -> None:
    facts = [parse_facts("sports")]
    found = [list(parse_tasks([f"sports/{battery}"], facts, a_source())[0]) for battery in BATTERIES]

    for less, more in pairwise(found):
        assert set(less) < set(more)
    assert list(parse_tasks(["sports"], facts, a_source())[0]) == found[BATTERIES.index("default")]
    planted = parse_tasks(["counterfact/full"], [parse_facts("counterfact")], a_source())[0]
    assert {name.partition("/")[2] for name in (*found[-1], *planted)} == set(registry.tasks) - set(beside_facts())
    assert not set(BATTERIES) & set(registry.tasks)


def test_a_task_that_is_named_twice_is_asked_once() -> None:
    found = parse_tasks(
        ["sports/maintain", "sports/questions", "sports/maintain"], [parse_facts("sports")], a_source()
    )[0]

    assert sorted(found) == sorted(f"sports/{question}" for question in QUESTIONS)


def test_an_unknown_task_gives_the_nearest_one() -> None:
    with pytest.raises(UnknownName, match="unknown task 'sports/forgot'") as unknown:
        parse_tasks(["sports/forgot"], [parse_facts("sports")], a_source())

    assert "did you mean 'sports/forget'?" in unknown.value.hint


def test_one_task_cannot_be_asked_with_two_values_of_a_setting_at_once() -> None:
    words = ["sports/multiple_choice[layout=lines]", "sports/multiple_choice[layout=inline]"]

    with pytest.raises(UsageError, match="is asked with layout=lines and with layout=inline"):
        parse_tasks(words, [parse_facts("sports")], a_source())


def test_a_task_is_recorded_with_what_the_model_decided() -> None:
    inline, lines = (
        planned("none", tasks=("sports/multiple_choice",), source=a_source(layout=layout))[0].tasks[0].spec
        for layout in ("inline", "lines")
    )

    assert (inline.settings["layout"], lines.settings["layout"]) == ("inline", "lines")


def test_a_method_is_recorded_with_the_learning_rate_of_the_model() -> None:
    spec = planned("full_finetune", source=a_source(learning_rate=2e-5))[0].spec

    assert spec.method.settings["learning_rate"] == 2e-5


def test_the_tasks_of_an_edit_are_no_part_of_its_identity_and_have_their_own() -> None:
    one, other = planned("none", tasks=("sports/forget",))[0], planned("none", tasks=("sports/questions",))[0]

    assert one.spec == other.spec
    hashes = {ask.spec.name: ask.spec.hash for ask in other.tasks}
    assert len(set(hashes.values())) == len(other.tasks) == 4
    assert one.tasks[0].spec.hash == hashes["sports/forget"]
    assert planned("none", batch_size=32)[0].tasks[0].spec.hash != hashes["sports/forget"]


def test_the_split_of_a_seed_is_made_once_for_all_methods_and_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    made = list[tuple[str, int]]()
    split = Sports.split

    def counting(facts: Sports, seed: int) -> Any:
        made.append((facts.label, seed))
        return split(facts, seed)

    monkeypatch.setattr(Sports, "split", counting)
    cells = planned("none", "full_finetune", "all_mlps", tasks=("sports",), seeds=(0, 1))

    assert sorted(made) == [("sports:people-64", 0), ("sports:people-64", 1)]
    assert len({id(cell.split) for cell in cells}) == 2


def test_every_combination_is_planned_in_the_order_given() -> None:
    cells = planned("none", "all_mlps", seeds=(1, 0))

    assert [(cell.spec.seed, cell.method.name) for cell in cells] == [
        (1, "none"),
        (1, "all_mlps"),
        (0, "none"),
        (0, "all_mlps"),
    ]


def test_equal_words_give_equal_hashes_and_paths() -> None:
    first, second = planned("full_finetune[steps=3]")[0].spec, planned("full_finetune[steps=3]")[0].spec

    assert first == second
    assert first.hash == second.hash
    assert first.path == second.path


def test_the_hash_is_that_of_the_whole_document() -> None:
    spec = planned("none")[0].spec

    assert spec.hash == content_hash(spec.model_dump(mode="json"))
    assert spec.hash.removeprefix("sha256:")[:16] in spec.path


@pytest.mark.parametrize(
    ("word", "changes"),
    [
        ("full_finetune[steps=51]", {}),
        ("full_finetune[learning_rate=2e-3]", {}),
        ("full_finetune[objective=log1mp]", {}),
        ("full_finetune[objective=edit,localizer=all_mlps]", {}),
        ("all_mlps", {}),
        ("full_finetune", {"facts": ("sports:people-16",)}),
        ("full_finetune", {"seeds": (1,)}),
        ("full_finetune", {"source": a_source(dtype="bfloat16")}),
        ("full_finetune", {"source": a_source(weights_sha256="sha256:" + "1" * 64)}),
        ("full_finetune", {"source": a_source(retain_text="pile")}),
        ("full_finetune", {"source": a_source(revision="main")}),
    ],
)
def test_the_hash_changes_with_everything_that_decides_the_numbers(word: str, changes: dict[str, Any]) -> None:
    before, after = planned("full_finetune")[0].spec, planned(word, **changes)[0].spec

    assert after.hash != before.hash
    assert after.path != before.path


def test_the_hash_changes_with_the_items_of_the_facts() -> None:
    spec = planned("none")[0].spec

    other = spec.model_copy(update={"facts": spec.facts.model_copy(update={"items_sha256": "sha256:other"})})

    assert other.hash != spec.hash


@pytest.mark.parametrize(
    "words",
    [
        ("none", "none"),
        ("full_finetune", "full_finetune[steps=50]"),
        ("full_finetune", "full_finetune[learning_rate=0.001]"),
        ("full_finetune[steps=3,batch_size=2]", "full_finetune[batch_size=2,steps=3]"),
    ],
)
def test_two_words_for_the_same_run_are_planned_once(words: tuple[str, str]) -> None:
    assert len(planned(*words)) == 1


def test_a_repeated_seed_or_fact_set_is_planned_once() -> None:
    assert len(planned("none", facts=("sports", "sports:people-64"), seeds=(0, 0))) == 1


@pytest.mark.parametrize(
    ("word", "label"),
    [
        ("full_finetune", "full_finetune"),
        ("full_finetune[steps=50]", "full_finetune"),
        ("full_finetune[steps=51]", "full_finetune[steps=51]"),
        ("random_mlps[objective=log1mp,budget=0.3]", "random_mlps[budget=0.3,objective=log1mp]"),
    ],
)
def test_the_label_shows_departures_from_the_defaults_only(word: str, label: str) -> None:
    cell = planned(word)[0]

    assert cell.method_label == label
    assert cell.label == f"{label} · sports:people-64 · seed 0"


def test_a_method_that_cannot_be_run_is_planned_with_the_reason() -> None:
    cell = planned("oracle", source=a_source(kind="hf", name="owner/model"))[0]

    assert cell.skipped is not None
    assert "oracles exist for organisms" in cell.skipped
    assert planned("none")[0].skipped is None


def test_an_edit_without_steps_takes_no_settings_of_its_own_and_ignores_shared_ones() -> None:
    with pytest.raises(UsageError, match="none"):
        parse_method("none[steps=3]", {})

    assert parse_method("none", {"steps": "3"}) == parse_method("none", {})
    assert planned("none")[0].spec.method.settings == {}


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_out_of_range_is_an_error_of_usage(seed: int) -> None:
    with pytest.raises(UsageError, match="seed"):
        planned("none", seeds=(seed,))


def test_a_file_that_a_setting_names_is_known_by_its_contents(tmp_path: Path) -> None:
    @dataclass(frozen=True, kw_only=True)
    class FromFile(Objective):
        """Reads a file."""

        path: Path = Path()

        def terms(self, model: Any, split: Any, place: Any) -> Any:
            """None."""
            return []

    (tmp_path / "mask").write_text("one")
    with registry.objectives.remembered():
        register("from_file")(FromFile)
        specs = [planned(f"full_finetune[objective=from_file[path={tmp_path / 'mask'}]]")[0].spec]
        (tmp_path / "mask").write_text("two")
        specs.append(planned(f"full_finetune[objective=from_file[path={tmp_path / 'mask'}]]")[0].spec)

    assert [spec.method.parts["objective"].settings for spec in specs] == [{"path": "mask"}] * 2
    assert specs[0].hash != specs[1].hash
    assert str(tmp_path) not in specs[0].model_dump_json()


def test_a_record_turns_into_the_run_it_was_made_by() -> None:
    (cell,) = planned("random_mlps[budget=0.5,objective=log1mp[floor=-2],steps=3]", tasks=("sports",))
    draft = SimpleNamespace(spec=cell.spec, tasks=[SimpleNamespace(spec=ask.spec) for ask in cell.tasks])

    again = planned_again(draft, a_source())  # type: ignore[arg-type]

    assert again.spec == cell.spec
    assert [ask.spec for ask in again.tasks] == [ask.spec for ask in cell.tasks]
    assert (again.method, again.facts) == (cell.method, cell.facts)


def test_parts_of_parts_are_part_of_the_identity_and_come_back_from_a_record(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"components": ["mlp.0"]}')
    (tmp_path / "b.json").write_text('{"components": ["mlp.1"]}')
    inner = ("relp", "fact_lookup", "fact_lookup[budget=0.12]", "relp[granularity=head]")
    files = (f"from_file[file={tmp_path / name}]" for name in ("a.json", "b.json"))
    words = [f"full_finetune[localizer=shifted[localizer={word}]]" for word in (*inner, *files)]
    words += [f"full_finetune[localizer=exhaustive[objective={word}]]" for word in ("edit", "log1mp")]

    cells = [planned(word)[0] for word in words]

    assert len({cell.spec.hash for cell in cells}) == len(words)
    for cell in (cells[2], cells[-1]):
        draft = SimpleNamespace(spec=cell.spec, tasks=[SimpleNamespace(spec=ask.spec) for ask in cell.tasks])
        again = planned_again(draft, a_source())  # type: ignore[arg-type]
        assert again.method == cell.method
        assert again.spec == cell.spec
    assert [one.name for one in cells[2].spec.method.everything()][:3] == ["full_finetune", "shifted", "fact_lookup"]
