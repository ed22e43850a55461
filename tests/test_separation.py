"""How well a number tells two kinds apart, against scikit-learn, its own equations and simulation."""

import random

import pytest
from sklearn.metrics import roc_auc_score

from unlearnbench.records.separation import separation


@pytest.mark.parametrize("seed", range(5))
def test_the_area_is_scikit_learns_ties_and_all(seed: int) -> None:
    rng = random.Random(seed)
    having = [round(rng.gauss(0.6, 0.3), 1) for _ in range(12)]
    lacking = [round(rng.gauss(0.4, 0.3), 1) for _ in range(9)]

    assert separation(having, lacking).auc == pytest.approx(roc_auc_score([1] * 12 + [0] * 9, having + lacking))


def test_the_interval_ends_where_the_difference_is_1_96_errors_of_hanley_and_mcneil() -> None:
    having, lacking = [0.2, 0.5, 0.7, 0.9, 0.8], [0.1, 0.6, 0.3, 0.55]
    found = separation(having, lacking)

    for end in found.interval:
        more = (len(having) + len(lacking)) / 2 - 1
        variance = end * (1 - end) * (1 + more * (1 - end) / (2 - end) + more * end / (1 + end)) / 20
        assert (end - found.auc) ** 2 == pytest.approx(1.959964**2 * variance, rel=1e-4)
    assert found.interval[0] < found.auc < found.interval[1]


def test_who_is_called_having_does_not_matter() -> None:
    having, lacking = [0.2, 0.5, 0.7, 0.9], [0.1, 0.6, 0.3]
    one, other = separation(having, lacking), separation(lacking, having)

    assert other.auc == pytest.approx(1 - one.auc)
    assert other.interval == pytest.approx((1 - one.interval[1], 1 - one.interval[0]))


def test_a_perfect_separation_of_few_is_less_sure_than_one_of_many() -> None:
    few, many = separation([1] * 4, [0] * 4), separation([1] * 40, [0] * 40)

    assert few.auc == many.auc == 1
    assert few.interval[0] < many.interval[0] < many.interval[1] == 1


def test_a_share_of_95_in_100_intervals_holds_the_truth() -> None:
    rng, truth, draws = random.Random(0), 0.8389, 400  # Φ(1.4 / √2)
    held = 0
    for _ in range(draws):
        having, lacking = ([rng.gauss(mean, 1) for _ in range(30)] for mean in (1.4, 0))
        low, high = separation(having, lacking).interval
        held += low <= truth <= high

    assert 0.92 <= held / draws <= 0.985


@pytest.mark.parametrize(("having", "lacking"), [([], [1.0]), ([1.0], [])])
def test_there_is_no_separation_from_nothing(having: list[float], lacking: list[float]) -> None:
    with pytest.raises(ValueError, match="both kinds"):
        separation(having, lacking)
