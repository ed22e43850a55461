"""What the base does not know is neither edited nor asked, and is counted."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from unlearnbench.cli import main
from unlearnbench.editing import known
from unlearnbench.errors import UsageError
from unlearnbench.facts import Fact, Split
from unlearnbench.model.model import Model
from unlearnbench.model.scoring import Scored
from unlearnbench.records import store
from unlearnbench.running.base import base_of
from unlearnbench.running.plan import facts_spec
from unlearnbench.running.words import parse_facts
from unlearnbench.world.people import never_known, people

FACTS_P = {
    "Ann Lee": 0.9,
    "Bo Rodgers": 0.49,
    "Cy Young": 0.5,
    "Di Dorn": 0.1,
    "Ed Hale": 0.2,
    "Flo Kern": 0.99,
    "Gil Moss": 0.3,
    "Hal Pike": 0.7,
}
"""How sure a stand-in for the model is of each true answer."""


@pytest.fixture
def sure(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model gives each fact the probability above, found by the name in its prompt."""

    def stand_in(model: Model, facts: Sequence[Fact]) -> list[Scored]:
        found = []
        for one in facts:
            (p,) = (p for name, p in FACTS_P.items() if name in one.prompt)
            others = (math.log((1 - p) / (len(one.choices) - 1)),) * (len(one.choices) - 1)
            found.append(Scored((math.log(p), *others), frozenset({0})))
        return found

    monkeypatch.setattr(known, "score_directly", stand_in)


def _names(facts: Sequence[Fact]) -> list[str]:
    return [fact.subject for fact in facts]


@pytest.mark.usefixtures("sure")
def test_facts_below_the_bound_are_left_out_of_every_subset_and_counted(llama: Model, small_split: Split) -> None:
    part = known.known_part(llama, small_split, 0.5, "mine")

    assert _names(part.split.forget) == ["Ann Lee", "Cy Young"]
    assert _names(part.split.maintain_train) == ["Flo Kern"]
    assert _names(part.split.maintain_dev) == []
    assert _names(part.split.maintain_test) == ["Hal Pike"]
    assert dict(part.unknown) == {
        "relearn_train": 1,
        "relearn_test": 1,
        "maintain_train": 1,
        "maintain_dev": 1,
        "maintain_test": 0,
    }
    assert part.told(small_split) == "1 of 2 in T, 1 of 2 in V, 1 of 2 in maintain-train, 1 of 1 in maintain-dev"


@pytest.mark.usefixtures("sure")
def test_facts_are_told_apart_by_subject_and_relation_though_their_names_in_logs_coincide(
    llama: Model, small_split: Split
) -> None:
    first, second = small_split.relearn_train
    twins = [replace(first, relation="a", subject="b:c"), replace(second, relation="a:b", subject="c")]

    part = known.known_part(llama, replace(small_split, relearn_train=twins), 0.5, "mine")

    assert twins[0].id == twins[1].id
    assert part.split.relearn_train == (twins[0],)


@pytest.mark.usefixtures("sure")
def test_where_a_subset_has_nothing_left_it_is_named(llama: Model, small_split: Split) -> None:
    with pytest.raises(UsageError, match=r"nothing is left of V, maintain-test$") as refused:
        known.known_part(llama, small_split, 0.8, "mine")

    assert "knows 1 of the 4 facts to forget of mine and 0 of the 1" in str(refused.value)
    assert '"mine[known=0]"' in (refused.value.hint or "")


@pytest.mark.usefixtures("sure")
def test_what_was_left_out_is_a_warning_of_the_run(llama: Model, small_split: Split) -> None:
    (warning,) = (one for one in base_of(llama, small_split, 0.5, "mine").warnings if "left out" in one)

    assert "does not know (p < 0.5)" in warning
    assert "1 of 2 in T" in warning


def test_zero_keeps_every_fact(llama: Model, small_split: Split) -> None:
    base = base_of(llama, small_split, 0, "mine")

    assert base.split == small_split
    assert set(base.unknown.values()) == {0}
    assert not any("left out" in warning for warning in base.warnings)


def test_the_bound_is_a_setting_of_the_facts_within_0_and_1() -> None:
    assert parse_facts("sports:people-16").known == 0.5
    assert parse_facts("sports:people-16[known=0.8]").known == 0.8
    for wrong in ("known=1.5", "knwon=0.5", "variant=people-64", "facts_file=mine.csv"):
        with pytest.raises(UsageError, match=wrong.partition("=")[0]):
            parse_facts(f"sports:people-16[{wrong}]")


def test_runs_say_in_which_bound_they_depart_from_the_usual_one() -> None:
    assert parse_facts("sports:people-16").word == "sports:people-16"
    assert parse_facts("sports:people-16[known=0.8]").word == "sports:people-16[known=0.8]"


def test_the_bound_is_part_of_a_runs_identity() -> None:
    specs = []
    for word in ("sports:people-16", "sports:people-16[known=0.8]"):
        facts = parse_facts(word)
        specs.append(facts_spec(facts, facts.split(0)))

    assert specs[0].settings == {"known": 0.5}
    assert specs[1] == specs[0].model_copy(update={"settings": {"known": 0.8}})


@pytest.fixture
def half_known(tmp_path: Path) -> Path:
    """A file of everybody in the world and of as many people again whom nobody knows."""
    lines = [f"{person.name},{person.sport}" for person in (*people(), *never_known())]
    path = tmp_path / "people.csv"
    path.write_text("\n".join(["athlete,sport", *lines]))
    return path


@pytest.mark.end_to_end
def test_a_run_asks_what_is_known_and_says_so(
    half_known: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", "--facts", "sports:people-64", "--facts_file", str(half_known), "-o", str(tmp_path / "out")]

    assert main([*words, "--methods", "none", "--tasks", "sports/forget"]) == 0
    assert main([*words, "--methods", "none", "--tasks", "sports/forget,sports/maintain"]) == 0

    ((folder, record),) = store.records(tmp_path / "out")
    forget, maintain = ([*store.load_rows(folder, task.samples)] for task in record.tasks)
    assert len(forget) == 64 - record.unknown["relearn_train"] - record.unknown["relearn_test"] < 64
    assert min(row["values"]["p_true"] for row in (*forget, *maintain)) >= 0.5
    assert "were left out" in capsys.readouterr().out
    assert main(["repeat", str(folder), "--facts_file", str(half_known)]) == 0


@pytest.mark.end_to_end
def test_a_record_of_other_known_facts_is_not_added_to(
    half_known: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", "--facts", "sports:people-64", "--facts_file", str(half_known), "-o", str(tmp_path / "out")]
    assert main([*words, "--methods", "none", "--tasks", "sports/forget"]) == 0
    exact = known.score_directly

    def on_another_device(model: Model, facts: Sequence[Fact]) -> list[Scored]:
        found = exact(model, facts)
        return [found[0]._replace(logprobs=(math.log(0.4), *found[0].logprobs[1:])), *found[1:]]

    monkeypatch.setattr(known, "score_directly", on_another_device)
    capsys.readouterr()

    assert main([*words, "--methods", "none", "--tasks", "sports/forget,sports/maintain"]) == 1
    assert "other facts are known to the model here" in capsys.readouterr().err
