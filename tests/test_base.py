"""What the base does not know is neither edited nor asked, and is counted."""

import math

import pytest

from unlearnbench.asking.prompts import ask_directly
from unlearnbench.errors import UsageError
from unlearnbench.facts import Split
from unlearnbench.model.model import Model
from unlearnbench.running.base import base_of
from unlearnbench.running.plan import facts_spec
from unlearnbench.running.words import parse_facts


def _p_true(model: Model, split: Split) -> dict[str, float]:
    facts = [*split.forget, *split.maintain_train, *split.maintain_dev, *split.maintain_test]
    return {row.item: row.values["p_true"] for row in ask_directly(model, facts, "", 64)}


def test_facts_below_the_bound_are_left_out_of_every_subset_and_counted(llama: Model, small_split: Split) -> None:
    p = _p_true(llama, small_split)
    train, test = small_split.relearn_train, small_split.relearn_test
    bound = max(min(p[f.id] for f in train), min(p[f.id] for f in test))
    bound = min(bound, *(max(p[f.id] for f in s) for s in (train, test, small_split.maintain_test)))
    bound = min(bound, max(p[f.id] for f in small_split.maintain_train))

    base = base_of(llama, small_split, bound, "mine")

    for subset in ("relearn_train", "relearn_test", "maintain_train", "maintain_dev", "maintain_test"):
        whole, left = small_split.facts(subset), base.split.facts(subset)
        assert list(left) == [fact for fact in whole if p[fact.id] >= bound]
        assert base.unknown[subset] == len(whole) - len(left)
    counted = [warning for warning in base.warnings if "left out" in warning]
    assert len(counted) == bool(sum(base.unknown.values()))


def test_zero_keeps_every_fact(llama: Model, small_split: Split) -> None:
    base = base_of(llama, small_split, 0, "mine")

    assert base.split == small_split
    assert set(base.unknown.values()) == {0}
    assert not any("left out" in warning for warning in base.warnings)


def test_accuracies_are_of_the_facts_that_are_left(llama: Model, small_split: Split) -> None:
    base = base_of(llama, small_split, 0, "mine")

    rows = ask_directly(llama, small_split.forget, "", 64)
    assert base.forget == math.fsum(row.values["accuracy"] for row in rows) / len(rows)


def test_a_model_that_knows_none_of_the_facts_is_told_how_many_it_knows(llama: Model, small_split: Split) -> None:
    with pytest.raises(UsageError, match="knows 0 of the 4 facts to forget of mine") as refused:
        base_of(llama, small_split, 1.0, "mine")
    assert "mine[known=0]" in (refused.value.hint or "")


def test_the_bound_is_a_setting_of_the_facts_within_0_and_1() -> None:
    assert parse_facts("sports:people-16").known == 0.5
    assert parse_facts("sports:people-16[known=0.8]").known == 0.8
    with pytest.raises(UsageError, match="known"):
        parse_facts("sports:people-16[known=1.5]")


def test_the_bound_is_part_of_a_runs_identity() -> None:
    specs = []
    for word in ("sports:people-16", "sports:people-16[known=0.8]"):
        facts = parse_facts(word)
        specs.append(facts_spec(facts, facts.split(0)))

    assert specs[0].settings == {"known": 0.5}
    assert specs[1] == specs[0].model_copy(update={"settings": {"known": 0.8}})
