"""Probes: what they read where it is, where it is not, and where there is nothing to learn."""

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.neighbors import NearestCentroid

from unlearnbench.asking.place import AskingPlace
from unlearnbench.asking.probes import KINDS, Kind, Reading, read
from unlearnbench.asking.sides import Side
from unlearnbench.facts import Fact, Split
from unlearnbench.model.model import Model
from unlearnbench.tasks.attacks.probing import Probing, _rows, _shuffled

every_kind = pytest.mark.parametrize("kind", KINDS)
ANSWERS = ["a", "b", "c"] * 30


def _clusters(spread: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    means = np.eye(3, 12)[[0, 1, 2] * 30]
    found: np.ndarray = 5 * means + spread * rng.normal(size=(90, 12)) + 100
    return found


@every_kind
def test_answers_that_lie_apart_are_read_and_surely(kind: Kind) -> None:
    found = read(kind, _clusters(0.1), ANSWERS, _clusters(0.1, seed=1), strength=1.0)

    assert [one.answer for one in found] == ANSWERS
    assert min(max(one.probabilities.values()) for one in found) > 0.5


@every_kind
def test_noise_is_read_as_often_as_it_is_guessed(kind: Kind) -> None:
    rng = np.random.default_rng(0)
    found = read(kind, rng.normal(size=(90, 12)), ANSWERS, rng.normal(size=(900, 12)), strength=1.0)

    right = sum(one.answer == answer for one, answer in zip(found, ANSWERS * 10, strict=True)) / 900
    assert right == pytest.approx(1 / 3, abs=0.06)


@every_kind
def test_neither_place_nor_scale_of_the_activations_matters(kind: Kind) -> None:
    seen, unseen = _clusters(4.0), _clusters(4.0, seed=1)

    one = read(kind, seen, ANSWERS, unseen, strength=1.0)
    other = read(kind, 1000 * seen - 7, ANSWERS, 1000 * unseen - 7, strength=1.0)

    assert [r.answer for r in one] == [r.answer for r in other]
    for mine, theirs in zip(one, other, strict=True):
        assert mine.probabilities == pytest.approx(theirs.probabilities, abs=1e-3)


def test_the_nearest_mean_is_scikit_learns_nearest_centroid() -> None:
    seen, unseen = _clusters(4.0), _clusters(4.0, seed=1)

    ours = [one.answer for one in read("mean", seen, ANSWERS, unseen, strength=1.0)]

    assert ours == list(NearestCentroid().fit(seen, ANSWERS).predict(unseen))


@every_kind
def test_one_answer_alone_is_what_is_read_and_only_what_was_seen_has_a_probability(kind: Kind) -> None:
    found = read(kind, _clusters(1.0), ["a"] * 90, _clusters(1.0)[:2], strength=1.0)
    (other,) = read(kind, _clusters(1.0), ANSWERS, _clusters(1.0)[:1], strength=1.0)

    assert [one.probabilities for one in found] == [{"a": 1.0}] * 2
    assert set(other.probabilities) == set(ANSWERS)
    assert sum(other.probabilities.values()) == pytest.approx(1)


def test_a_truth_that_the_probe_could_not_say_is_wrong_and_an_only_answer_right() -> None:
    facts = [Fact(f"s{n}", "r", f"s{n} is", answer, ("x", "y"), "x") for n, answer in enumerate("abz")]
    side = Side((), facts, "relearn_test")
    readings = [Reading({"a": 0.9, "b": 0.1}), Reading({"b": 1.0}), Reading({"a": 0.5, "b": 0.5})]

    rows = _rows(readings, side, [{}] * 3)

    assert [row.values["accuracy"] for row in rows] == [1.0, 1.0, 0.0]
    assert rows[0].values["p_true"] == pytest.approx(0.9)
    assert rows[0].choices == ("a", "b")
    assert rows[2].choices == ()
    assert all(row.values["edit_accuracy"] == 0 for row in rows)


def test_shuffled_answers_are_those_of_the_same_relation(split: Split) -> None:
    facts = split.maintain_train

    shuffled = _shuffled(facts, seed=1)

    assert sorted(shuffled.values()) == sorted(fact.answer for fact in facts)
    assert [shuffled[fact.id] for fact in facts] != [fact.answer for fact in facts]
    assert shuffled == _shuffled(facts, seed=1) != _shuffled(facts, seed=2)


def test_what_a_probe_learns_from_is_not_what_it_reads(
    random_models: Callable[..., Model], split: Split, asking: AskingPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned: list[tuple[set[str], set[str]]] = []
    original = Probing._read

    def watching(
        self: Probing, probe: Kind, stream: object, seen: list, unseen: list, answers: object = None
    ) -> object:  # type: ignore[type-arg]
        learned.append(({fact.id for fact in seen}, {fact.id for fact in unseen}))
        return original(self, probe, stream, seen, unseen, answers)  # type: ignore[arg-type]

    monkeypatch.setattr(Probing, "_read", watching)
    side = Side(split.relearn_train, split.relearn_test, "relearn_test")
    rows = Probing().attack(random_models("gpt2"), side, split, asking)

    v = {fact.id for fact in split.relearn_test}
    assert all(not seen & unseen and not seen & v for seen, unseen in learned)
    assert {row.item for row in rows} == v
    layers = {(row.at["probe"], row.at["position"], row.at["layer"]) for row in rows if row.at}
    assert layers == {(k, p, layer) for k in KINDS for p in ("subject", "answer") for layer in range(5)}
