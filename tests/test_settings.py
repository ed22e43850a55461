"""Words become typed settings, methods, facts and tasks; a wrong word is named."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import Field

from unlearnbench import registry
from unlearnbench.described import described
from unlearnbench.editing.objective import Objective
from unlearnbench.errors import UnknownName, UsageError
from unlearnbench.registry import register
from unlearnbench.running.words import parse_facts, parse_method, parse_methods
from unlearnbench.settings import configured, departures, settings_of, word_of

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


def test_what_is_set_in_a_nested_word_is_not_overridden_by_shared_settings() -> None:
    method = parse_method("full_finetune[objective=log1mp[floor=-2]]", {"floor": "-9", "steps": "3"})

    assert (method.objective.floor, method.steps) == (-2.0, 3)
