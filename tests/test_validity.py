"""Whether an attack is to be believed is told from models of which it is known whether they have the facts."""

import json
import math
from collections.abc import Callable

import pytest

from unlearnbench.leaderboard.validity import attack_validity, metric_validity, rank_correlation
from unlearnbench.leaderboard.validity_table import as_json, render
from unlearnbench.records.case import Case

Says = Callable[[str, bool, str | None], float]
SEEDS = (0, 1, 2)


def cases(says: Says, name: str = "sports/attack") -> list[Case]:
    """Two ways of hiding and none, with and without the facts, then relearned: what `says` says, and the truth."""
    found = []
    for way in ("", "mask", "jam"):
        for knows in (True, False):
            for afterwards in (None, "relearned") if way else (None,):
                for seed in SEEDS:
                    value = says(way, knows, afterwards) + 0.01 * seed
                    found.append(
                        Case("tiny", way, knows, seed, afterwards, {name: value}, frozenset({"sports/attack"}))
                    )
    return found


def sound(way: str, knows: bool, afterwards: str | None) -> float:
    """Sees through everything."""
    return float(knows)


def blind(way: str, knows: bool, afterwards: str | None) -> float:
    """Believes what it is told: facts that are hidden are gone, until they are taught back."""
    return float(knows and (not way or afterwards is not None))


def credulous(way: str, knows: bool, afterwards: str | None) -> float:
    """Finds facts everywhere."""
    return 0.8


def ruinous(way: str, knows: bool, afterwards: str | None) -> float:
    """Destroys what there is."""
    return 0.3 * knows


def test_a_sound_attack_finds_every_way_of_hiding_and_nothing_elsewhere() -> None:
    (one,) = attack_validity(cases(sound))["tiny"]

    assert one.verdict == "finds 2 of 2"
    assert one.finds == ["mask", "jam"]
    assert (one.base, one.lacking) == pytest.approx((1.01, 0.01))


def test_a_blind_attack_is_no_invalid_one_and_finds_nothing() -> None:
    (one,) = attack_validity(cases(blind))["tiny"]

    assert one.verdict == "finds 0 of 2"


@pytest.mark.parametrize(("says", "why"), [(credulous, "finds what is not there"), (ruinous, "destroys what is there")])
def test_an_attack_that_contradicts_what_is_known_is_invalid(says: Says, why: str) -> None:
    (one,) = attack_validity(cases(says))["tiny"]

    assert one.verdict == f"INVALID: {why}"


def test_a_metric_that_sees_through_hiding_separates_and_does_not_change_by_relearning() -> None:
    (one,) = metric_validity(cases(sound))

    assert one.plain.auc == one.hidden.auc == 1
    assert one.robustness == pytest.approx({"relearned": 1.0})


def test_a_metric_that_believes_what_it_is_told_separates_only_what_hides_nothing() -> None:
    (one,) = metric_validity(cases(blind))

    assert one.plain.auc == 1
    assert one.hidden.auc == pytest.approx(0.5)
    assert one.robustness == pytest.approx({"relearned": 0.0})


def test_what_rises_in_models_without_the_facts_as_well_was_not_overlooked() -> None:
    (one,) = metric_validity(cases(lambda way, knows, afterwards: float(knows) + 0.4 * (afterwards is not None)))

    assert one.robustness == pytest.approx({"relearned": 1.0})


def test_without_an_oracle_nothing_is_said_of_metrics_and_a_dash_of_attacks() -> None:
    knowing = [case for case in cases(sound) if case.knows]
    (one,) = attack_validity(knowing)["tiny"]

    assert metric_validity(knowing) == []
    assert math.isnan(one.lacking)
    assert "–" in render(knowing)


def test_questions_are_metrics_and_no_attacks() -> None:
    asked = cases(blind, "sports/forget")

    (one,) = attack_validity(asked)["tiny"]
    assert one.verdict == "what they say themselves"
    assert [one.metric for one in metric_validity(asked)] == ["sports/forget"]


def test_the_tables_say_what_was_found_and_what_was_left_out() -> None:
    broken = Case("tiny", "mask", True, 3, None, {}, frozenset(), invalid="collapsed: the loss rose")
    text = render([*cases(sound), broken])

    assert "finds 2 of 2" in text
    assert "1.00 [" in text
    assert "left out: tiny mask, seed 3: collapsed" in text


def test_as_data_it_is_the_same() -> None:
    found = json.loads(as_json(cases(credulous)))

    assert found["attacks"][0]["verdict"] == "INVALID: finds what is not there"
    assert found["metrics"][0]["auc"]["hidden"]["auc"] == 0.5


def test_two_scores_are_compared_by_rank_over_models_that_have_the_facts() -> None:
    values = [(0.1, 0.2, True), (0.5, 0.3, True), (0.9, 0.8, True), (0.0, 0.9, False)]
    found = [
        Case("tiny", "mask", knows, seed, None, {"a": a, "b": b}, frozenset())
        for seed, (a, b, knows) in enumerate(values)
    ]

    assert rank_correlation(found, "a", "b") == (1.0, 3)
    assert rank_correlation(found, "a", "c") is None
    assert rank_correlation(found[:1], "a", "b") is None
