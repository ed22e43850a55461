"""Words become typed settings, complete runs and one identity per run; a wrong word is named."""

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import Field

from unlearnbench import registry
from unlearnbench.described import described
from unlearnbench.editing.objective import Objective
from unlearnbench.errors import UnknownName, UsageError
from unlearnbench.hashing import content_hash
from unlearnbench.model.source import ModelSource
from unlearnbench.registry import register
from unlearnbench.running.plan import Cell, plan, planned_again
from unlearnbench.running.words import parse_facts, parse_method, parse_methods, parse_tasks
from unlearnbench.settings import configured, departures, settings_of, word_of
from unlearnbench.tasks.facts.sports import Sports

QUESTIONS = ("forget", "paraphrase", "multiple_choice", "maintain")


@dataclass(frozen=True, kw_only=True)
class Example:
    """A configurable class of every type that settings have."""

    count: Annotated[int, Field(ge=1)] = 3
    """How many."""
    rate: float | None = None
    share: float = 0.5
    loud: bool = False
    mode: Literal["slow", "fast"] = "slow"
    version: ClassVar[int] = 7


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


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("count", "12", 12),
        ("rate", "1e-4", 1e-4),
        ("share", "1", 1.0),
        ("loud", "true", True),
        ("mode", "fast", "fast"),
    ],
)
def test_text_becomes_a_setting_of_its_type(name: str, text: str, value: Any) -> None:
    found = getattr(configured(Example, {name: text}, "example"), name)

    assert found == value
    assert type(found) is type(value)


def test_settings_that_are_not_given_keep_their_defaults() -> None:
    assert configured(Example, {}, "example") == Example()


@pytest.mark.parametrize(
    ("name", "text"), [("count", "twelve"), ("count", "1.5"), ("rate", "fast"), ("loud", "perhaps"), ("mode", "medium")]
)
def test_a_setting_of_the_wrong_type_is_named(name: str, text: str) -> None:
    with pytest.raises(UsageError, match=f"setting {name}='{text}' of example") as wrong:
        configured(Example, {name: text}, "example")

    assert wrong.value.exit_code == 2


@pytest.mark.parametrize("text", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("name", ["rate", "share"])
def test_a_setting_that_is_no_finite_number_is_refused(name: str, text: str) -> None:
    with pytest.raises(UsageError, match=name):
        configured(Example, {name: text}, "example")


def test_an_unknown_setting_gives_the_nearest_one() -> None:
    with pytest.raises(UnknownName, match="unknown setting of example 'cuont'") as unknown:
        configured(Example, {"cuont": "3"}, "example")

    assert "did you mean 'count'?" in unknown.value.hint


def test_what_is_no_field_is_no_setting() -> None:
    with pytest.raises(UnknownName):
        configured(Example, {"version": "8"}, "example")


def test_settings_are_shown_whole_and_described_with_their_defaults() -> None:
    assert settings_of(Example(count=4)) == {"count": 4, "rate": None, "share": 0.5, "loud": False, "mode": "slow"}
    shown = {setting.name: setting for setting in described(Example)}
    assert list(shown) == ["count", "rate", "share", "loud", "mode"]
    assert shown["count"] == ("count", "int, ≥ 1", "3", "How many.")
    assert shown["mode"].kind == "slow|fast"
    assert shown["rate"].kind == "float"


def test_a_method_word_holds_its_settings_in_brackets() -> None:
    method = parse_method("random_mlps[budget=0.5, steps=7,objective=log1mp]", {})

    assert method.name == "random_mlps"
    assert settings_of(method) == {**settings_of(parse_method("random_mlps", {})), "steps": 7}
    assert settings_of(method.localizer) == {"budget": 0.5}
    assert method.objective.name == "log1mp"


def test_a_part_is_a_word_of_its_own_and_words_nest() -> None:
    parts = "localizer=attribution_patching[budget=0.1,examples=3],objective=log1mp[floor=-2]"
    flat = "localizer=attribution_patching,budget=0.1,examples=3,objective=log1mp,floor=-2"

    nested = parse_method(f"full_finetune[{parts}]", {})

    assert nested == parse_method(f"full_finetune[{flat}]", {})
    assert (nested.localizer.budget, nested.localizer.examples, nested.objective.floor) == (0.1, 3, -2.0)


@pytest.mark.parametrize(
    "word",
    [
        "full_finetune",
        "full_finetune[steps=51]",
        "random_mlps[budget=0.3]",
        "full_finetune[localizer=attribution_patching[examples=3],objective=log1mp[floor=-2.0],steps=4]",
        "attribution_patching[budget=0.1,objective=log1mp]",
    ],
)
def test_a_method_becomes_the_word_that_makes_it(word: str) -> None:
    method = parse_method(word, {})

    assert word_of(method) == word
    assert parse_method(word_of(method), {}) == method
    assert all("=" not in key for key in departures(method))


def test_a_setting_that_two_parts_have_must_say_which() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Twin(Objective):
        """Has a budget too."""

        budget: float = 1.0

        def terms(self, model: Any, split: Any, place: Any) -> Any:
            """None."""
            return []

    with registry.objectives.remembered():
        register("twin")(Twin)
        with pytest.raises(UsageError, match="several parts") as refused:
            parse_method("random_mlps[objective=twin,budget=0.5]", {})
        method = parse_method("random_mlps[objective=twin[budget=0.7],localizer=random_mlps[budget=0.5]]", {})

    assert "localizer=random_mlps[budget=0.5]" in refused.value.hint
    assert (method.objective.budget, method.localizer.budget) == (0.7, 0.5)


def test_shared_settings_apply_where_the_word_sets_nothing_else() -> None:
    method = parse_method("full_finetune[steps=7]", {"steps": "5", "batch_size": "2"})

    assert (method.steps, method.batch_size) == (7, 2)


def test_shared_settings_apply_to_the_methods_that_have_them_and_at_least_one_must() -> None:
    none, full, drawn = parse_methods(["none", "full_finetune", "random_mlps"], {"budget": "0.5"})

    assert (settings_of(none), drawn.localizer.budget) == ({}, 0.5)
    assert full == parse_method("full_finetune", {})
    with pytest.raises(UnknownName, match="bugdet") as refused:
        parse_methods(["none", "random_mlps"], {"bugdet": "0.5"})
    assert "'budget'" in refused.value.hint


@pytest.mark.parametrize(
    "word",
    [
        *("full_finetune[steps]", "full_finetune[=3]", "full_finetune[steps=3", "[steps=3]", ""),
        *("full_finetune[steps=3]]", "full_finetune[objective=edit[]", "full finetune", "full_finetune[steps=3]x"),
    ],
)
def test_a_method_word_of_another_form_is_refused(word: str) -> None:
    with pytest.raises(UsageError, match="is not of the form"):
        parse_method(word, {})


@pytest.mark.parametrize(
    ("word", "kind", "nearest"),
    [
        ("ful_finetune", "method", "full_finetune"),
        ("full_finetune[step=3]", "setting of method full_finetune", "steps"),
        ("full_finetune[objective=log1p]", "objective", "log1mp"),
        ("full_finetune[adversary=nnoe]", "adversary", "none"),
    ],
)
def test_every_unknown_name_in_a_method_word_gives_the_nearest_one(word: str, kind: str, nearest: str) -> None:
    with pytest.raises(UnknownName, match=f"unknown {kind}") as unknown:
        parse_method(word, {})

    assert f"did you mean {nearest!r}?" in unknown.value.hint


def test_facts_are_named_with_a_variant_or_take_the_first() -> None:
    assert parse_facts("sports:football").label == "sports:football"
    assert parse_facts("sports").label == f"sports:{type(parse_facts('sports')).variants[0]}"


@pytest.mark.parametrize(
    ("word", "nearest"), [("sprots", "sports"), ("sports:footbal", "football"), ("sports:people64", "people-64")]
)
def test_unknown_facts_give_the_nearest_ones(word: str, nearest: str) -> None:
    with pytest.raises(UnknownName) as unknown:
        parse_facts(word)

    assert f"did you mean {nearest!r}?" in unknown.value.hint


def test_the_bare_name_of_a_fact_set_means_all_of_its_tasks() -> None:
    found = parse_tasks(["sports"], [parse_facts("sports")], a_source())[0]

    assert list(found) == [f"sports/{question}" for question in QUESTIONS]
    assert [task.name for task in found.values()] == list(QUESTIONS)


def test_a_task_that_is_named_twice_is_asked_once() -> None:
    found = parse_tasks(["sports/maintain", "sports", "sports/maintain"], [parse_facts("sports")], a_source())[0]

    assert sorted(found) == sorted(f"sports/{question}" for question in QUESTIONS)


def test_an_unknown_task_gives_the_nearest_one() -> None:
    with pytest.raises(UnknownName, match="unknown task 'sports/forgot'") as unknown:
        parse_tasks(["sports/forgot"], [parse_facts("sports")], a_source())

    assert "did you mean 'sports/forget'?" in unknown.value.hint


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
    one, other = planned("none", tasks=("sports/forget",))[0], planned("none", tasks=("sports",))[0]

    assert one.spec == other.spec
    hashes = {ask.spec.name: ask.spec.hash for ask in other.tasks}
    assert len(set(hashes.values())) == len(QUESTIONS)
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


def test_what_is_set_in_a_nested_word_is_not_overridden_by_shared_settings() -> None:
    method = parse_method("full_finetune[objective=log1mp[floor=-2]]", {"floor": "-9", "steps": "3"})

    assert (method.objective.floor, method.steps) == (-2.0, 3)


def test_one_task_cannot_be_asked_with_two_values_of_a_setting_at_once() -> None:
    words = ["sports/multiple_choice[layout=lines]", "sports/multiple_choice[layout=inline]"]

    with pytest.raises(UsageError, match="is asked with layout=lines and with layout=inline"):
        parse_tasks(words, [parse_facts("sports")], a_source())


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
