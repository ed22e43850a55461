"""Means and cluster-robust errors are the published formula, exact, and cover what they say."""

import math
import random

import numpy as np
import pytest
from scipy.stats import binomtest

from unlearnbench.records.estimate import mean_over_clusters

T_975_19 = 2.0930240544  # the 97.5 % quantile of Student's t with 19 degrees of freedom


def random_clusters(seed: int, clusters: int = 12) -> dict[str, list[float]]:
    """Clusters of one to six dependent values."""
    rng = random.Random(seed)
    found = {}
    for cluster in range(clusters):
        shared = rng.gauss(0, 1)
        found[f"subject {cluster}"] = [shared + rng.gauss(0.3, 0.5) for _ in range(rng.randint(1, 6))]
    return found


def brute_force(values: dict[str, list[float]]) -> tuple[float, float]:
    """Mean and CR1 error from the full matrix of residual products, masked to pairs of one cluster."""
    owners = np.array([owner for owner, cluster in values.items() for _ in cluster])
    scores = np.array([value for cluster in values.values() for value in cluster])
    residuals = scores - scores.mean()
    products = np.outer(residuals, residuals) * (owners[:, None] == owners[None, :])
    count = len(values)
    return float(scores.mean()), float(np.sqrt(count / (count - 1) * products.sum()) / len(scores))


@pytest.mark.parametrize("seed", range(8))
def test_mean_and_error_are_those_of_an_independent_brute_force(seed: int) -> None:
    values = random_clusters(seed)
    mean, error = brute_force(values)

    found = mean_over_clusters(values)

    assert found.value == pytest.approx(mean, rel=1e-12)
    assert found.stderr == pytest.approx(error, rel=1e-12)
    assert found.n == sum(map(len, values.values()))
    assert found.clusters == len(values)


def test_clusters_of_one_item_give_the_usual_standard_error() -> None:
    scores = [value for cluster in random_clusters(1).values() for value in cluster]

    found = mean_over_clusters({str(i): [score] for i, score in enumerate(scores)})

    assert found.stderr == pytest.approx(np.std(scores, ddof=1) / math.sqrt(len(scores)), rel=1e-12)


def test_items_that_only_repeat_each_other_add_no_certainty() -> None:
    once = {str(i): [float(i % 3)] for i in range(10)}

    found = mean_over_clusters({name: cluster * 7 for name, cluster in once.items()})

    assert found.stderr == pytest.approx(mean_over_clusters(once).stderr, rel=1e-12)
    assert (found.n, found.clusters) == (70, 10)


@pytest.mark.parametrize("seed", range(20))
def test_the_order_of_items_and_clusters_changes_no_bit(seed: int) -> None:
    values = {
        name: [value * 10**power for value in cluster]
        for power, (name, cluster) in enumerate(random_clusters(seed).items(), start=-6)
    }
    rng = random.Random(seed)
    shuffled = [(name, rng.sample(cluster, len(cluster))) for name, cluster in values.items()]
    rng.shuffle(shuffled)

    assert mean_over_clusters(dict(shuffled)) == mean_over_clusters(values)


def test_sums_are_exact_where_plain_addition_is_not() -> None:
    values = {"a": [1e16, 1.0], "b": [-1e16, 1.0]}
    assert sum([1e16, 1.0, -1e16, 1.0]) != 2.0

    assert mean_over_clusters(values).value == 0.5


def test_one_cluster_has_a_mean_and_no_error() -> None:
    found = mean_over_clusters({"only": [0.0, 1.0, 1.0, 0.0]})

    assert found == (0.5, None, None, 4, 1)


def test_equal_values_have_no_error_left_but_are_not_certain() -> None:
    found = mean_over_clusters({"a": [1.0, 1.0], "b": [1.0]})

    assert (found.value, found.stderr, found.n, found.clusters) == (1.0, 0.0, 3, 2)
    assert found.interval == pytest.approx(wilson_of(2, 2))


def wilson_of(right: int, asked: int) -> tuple[float, float]:
    """SciPy's interval of independent items."""
    return tuple(binomtest(right, asked).proportion_ci(0.95, "wilson"))  # type: ignore[return-value]


@pytest.mark.parametrize(("right", "asked"), [(0, 64), (1, 64), (20, 64), (63, 64), (64, 64), (1, 2)])
def test_the_interval_of_independent_shares_is_wilsons(right: int, asked: int) -> None:
    found = mean_over_clusters({str(i): [float(i < right)] for i in range(asked)})

    assert found.interval == pytest.approx(wilson_of(right, asked), abs=1e-12)


def test_items_that_repeat_each_other_leave_the_interval_as_wide_as_their_clusters_have_it() -> None:
    once = {str(i): [float(i < 20)] for i in range(64)}

    found = mean_over_clusters({name: items * 9 for name, items in once.items()})

    assert found.interval == pytest.approx(wilson_of(20, 64), abs=1e-12)


def test_an_interval_never_counts_more_items_than_there_are() -> None:
    found = mean_over_clusters({str(i): [0.0, 1.0] for i in range(30)} | {"last": [0.0, 0.0]})

    assert found.interval is not None
    assert found.interval[1] - found.interval[0] >= np.subtract(*wilson_of(30, 62)[::-1]) - 1e-12


def test_what_is_no_share_has_a_normal_interval() -> None:
    found = mean_over_clusters({str(i): [3.0 * i] for i in range(10)})

    assert found.stderr is not None
    assert found.interval == pytest.approx(
        (found.value - 1.959964 * found.stderr, found.value + 1.959964 * found.stderr)
    )


@pytest.mark.parametrize("nothing", [{}, {"a": []}])
def test_nothing_cannot_be_averaged(nothing: dict[str, list[float]]) -> None:
    with pytest.raises(ValueError, match="nothing to average"):
        mean_over_clusters(nothing)


def test_the_clustered_interval_covers_the_mean_and_the_naive_one_does_not() -> None:
    rng = random.Random(20)
    truth, repetitions, clustered, naive = 0.4, 400, 0, 0
    for _ in range(repetitions):
        values = {}
        for cluster in range(20):
            shared = rng.gauss(truth, 1)
            values[str(cluster)] = [shared + rng.gauss(0, 0.5) for _ in range(6)]
        found = mean_over_clusters(values)
        flat = [value for cluster in values.values() for value in cluster]
        as_if_independent = float(np.std(flat, ddof=1)) / math.sqrt(len(flat))
        off = abs(found.value - truth)
        clustered += off <= T_975_19 * (found.stderr or 0.0)
        naive += off <= 1.96 * as_if_independent

    # 400 draws at 95 % have a standard deviation of 1.1 %.
    assert 0.92 <= clustered / repetitions <= 0.98
    assert naive / repetitions < 0.75


@pytest.mark.parametrize("small", [1.2e-16, 1e-17, 1e-170, 5e-324])
def test_shares_that_are_all_but_nothing_have_an_interval_and_lie_in_it(small: float) -> None:
    for values in ([small, 0.0, 0.0], [1 - small, 1.0, 1.0], [1 - small, 1.0, 1 - small]):
        found = mean_over_clusters({str(number): [value] for number, value in enumerate(values)})

        assert found.interval is not None
        assert 0 <= found.interval[0] <= found.value + 1e-15
        assert found.value - 1e-15 <= found.interval[1] <= 1
