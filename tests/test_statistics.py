"""The board's statistics: intervals that cover, tests that do not cry wolf, places that hold."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from unlearnbench.leaderboard.cells import Cells, Grid
from unlearnbench.leaderboard.draws import DRAWS, Draws
from unlearnbench.leaderboard.paired import difference, holm, sign_flip
from unlearnbench.leaderboard.ranks import chance_of_front, ranks, tiers
from unlearnbench.leaderboard.score import along
from unlearnbench.leaderboard.spread import Parts, as_far, freedom, parts, quantity
from unlearnbench.leaderboard.uncertainty import mean_of
from unlearnbench.records.estimate import mean_over_clusters

RUNS = 400
NAMES = tuple(map(str, range(64)))
Generator = np.random.Generator


def numbers(rng: Generator, seeds: int, subjects: int, *, seed_sd: float = 0.05, shift: float = 0.0) -> Cells:
    """Five items of each subject; seeds, subjects and items all vary. The true mean is `shift`."""
    by_seed, by_subject = rng.normal(0, seed_sd, (seeds, 1)), rng.normal(0, 0.4, (1, subjects))
    items = rng.normal(0, 0.2, (seeds, subjects, 5)).sum(-1)
    return Cells((shift + by_seed + by_subject) * 5 + items, np.full((seeds, subjects), 5.0))


def shares(rng: Generator, seeds: int, subjects: int, p: float) -> Cells:
    """Four answers of each subject, right or wrong; those of one subject agree more than those of two."""
    inner = 0.3
    of_subject = rng.beta(p * (1 - inner) / inner, (1 - p) * (1 - inner) / inner, subjects)
    return Cells(rng.binomial(4, of_subject, (seeds, subjects)).astype(float), np.full((seeds, subjects), 4.0))


# -- means -----------------------------------------------------------------------------------------------


def test_cells_are_sums_over_the_items_of_each_seed_and_subject() -> None:
    values = {1: [("ann", 0.5), ("bo", 1.0), ("ann", 0.25)], 0: [("bo", 0.0)]}
    grid = Grid.of([values])

    cells = grid.cells(values)

    assert grid == Grid((0, 1), ("ann", "bo"))
    assert cells.sums.tolist() == [[0.0, 0.0], [0.75, 1.0]]
    assert cells.counts.tolist() == [[0, 1], [2, 1]]
    assert cells.value == pytest.approx((0.0 + 1.75 / 3) / 2)


def test_with_one_seed_the_error_is_that_of_the_record() -> None:
    values = {"ann": [0.1, 0.9], "bo": [0.4], "cy": [1.0, 0.7, 0.2]}
    items = [(name, value) for name, some in values.items() for value in some]
    grid = Grid.of([{0: items}])

    found = mean_of(grid.cells({0: items}))

    wanted = mean_over_clusters(values)
    assert (found.value, found.error) == (pytest.approx(wanted.value), pytest.approx(wanted.stderr))
    assert found.df == 2


def test_with_one_item_per_cell_the_variance_is_that_of_two_crossed_samples() -> None:
    """Brute force: Cameron, Gelbach and Miller's three terms from their definition."""
    sums = np.array([[0.1, 0.5, 0.9, 0.3], [0.2, 0.8, 0.7, 0.1], [0.9, 0.4, 1.0, 0.6]])
    found = mean_of(Cells(sums, np.ones_like(sums)))

    moved = (sums - sums.mean()) / sums.size
    rows, columns = 3 / 2 * (moved.sum(1) ** 2).sum(), 4 / 3 * (moved.sum(0) ** 2).sum()
    both = 12 / 11 * (moved**2).sum()
    assert found.variance == pytest.approx(max(rows + columns - both, rows, columns))
    assert rows == pytest.approx(sums.mean(1).var(ddof=1) / 3)
    assert found.df == pytest.approx(found.variance**2 / (rows**2 / 2 + columns**2 / 3))


@pytest.mark.parametrize(("seeds", "subjects"), [(3, 16), (3, 64), (5, 64)])
def test_intervals_over_seeds_and_subjects_cover_the_truth(seeds: int, subjects: int) -> None:
    rng = np.random.default_rng(seeds * subjects)
    ends = [mean_of(numbers(rng, seeds, subjects)).interval(share=False) for _ in range(RUNS)]

    assert 0.92 <= np.mean([low <= 0 <= high for low, high in ends]) <= 0.98


@pytest.mark.parametrize(("seeds", "subjects", "p"), [(1, 32, 0.5), (1, 64, 0.05), (3, 32, 0.05), (3, 64, 0.5)])
def test_intervals_of_shares_cover_the_truth_near_0_too(seeds: int, subjects: int, p: float) -> None:
    rng = np.random.default_rng(subjects)
    ends = [mean_of(shares(rng, seeds, subjects, p)).interval(share=True) for _ in range(RUNS)]

    assert 0.92 <= np.mean([low <= p <= high for low, high in ends]) <= 0.98
    assert all(0 <= low <= high <= 1 for low, high in ends)


def test_all_right_of_64_is_not_certainty() -> None:
    low, high = mean_of(Cells(np.ones((3, 64)), np.ones((3, 64)))).interval(share=True)
    assert 0.9 < low < 0.99
    assert high == 1.0


def test_what_could_have_been_seen_is_seen_four_times_in_five() -> None:
    rng = np.random.default_rng(5)
    least = float(np.mean([mean_of(numbers(rng, 3, 64)).detectable() for _ in range(50)]))

    ends = [mean_of(numbers(rng, 3, 64, shift=least)).interval(share=False) for _ in range(RUNS)]

    assert 0.7 <= np.mean([low > 0 for low, _ in ends]) <= 0.9


def test_an_error_needs_two_subjects() -> None:
    with pytest.raises(ValueError, match="two subjects"):
        mean_of(Cells(np.ones((3, 1)), np.ones((3, 1))))


# -- differences -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seeds", "subjects"), [(1, 20), (3, 32), (5, 64)])
def test_methods_that_are_alike_are_seldom_called_different(seeds: int, subjects: int) -> None:
    rng = np.random.default_rng(seeds)
    found = [difference(numbers(rng, seeds, subjects), numbers(rng, seeds, subjects)).p for _ in range(RUNS)]

    assert np.mean(np.array(found) < 0.05) <= 0.08


def test_a_real_difference_is_found_and_one_of_other_items_is_refused() -> None:
    rng = np.random.default_rng(0)
    a, b = numbers(rng, 3, 64, shift=0.5), numbers(rng, 3, 64)

    found = difference(a, b)
    assert found.p < 0.01
    assert found.mean.value == pytest.approx(a.value - b.value)
    with pytest.raises(ValueError, match="the same items"):
        difference(a, Cells(b.sums[:, :-1], b.counts[:, :-1]))


def test_equal_methods_differ_by_nothing() -> None:
    cells = numbers(np.random.default_rng(0), 3, 16)
    found = difference(cells, cells)
    assert (found.mean.value, found.p) == (0.0, 1.0)


def test_sign_flips_are_exact_for_few_subjects_and_near_it_for_many() -> None:
    rng = np.random.default_rng(3)
    few = rng.normal(0.3, 1, 8)
    ways = [abs(sum(s * x for s, x in zip(signs, few, strict=True))) for signs in product((1, -1), repeat=8)]
    assert sign_flip(few) == np.mean([way >= abs(few.sum()) - 1e-12 for way in ways])

    many = rng.normal(0.2, 1, 16)
    ways = np.abs(np.array(list(product((1.0, -1.0), repeat=16))) @ many)
    assert sign_flip(many) == pytest.approx(np.mean(ways >= abs(many.sum()) - 1e-12), abs=0.02)


def test_holm_corrects_step_by_step() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


# -- draws, places, tiers ----------------------------------------------------------------------------------


def test_draws_have_the_mean_and_the_error_of_the_cells() -> None:
    cells = numbers(np.random.default_rng(2), 1, 200)
    grid = Grid((0,), tuple(map(str, range(200))))

    values = Draws.of(grid).values(cells)

    assert len(values) == DRAWS, "without its only seed there is nothing"
    assert values.mean() == pytest.approx(cells.value, abs=0.005)
    assert values.std() == pytest.approx(mean_of(cells).error, rel=0.1)


def test_the_same_table_is_drawn_alike_and_methods_go_together() -> None:
    rng = np.random.default_rng(2)
    grid = Grid((0, 1, 2), tuple(map(str, range(32))))
    a = numbers(rng, 3, 32)
    b = Cells(a.sums + 0.5, a.counts)

    first, second = Draws.of(grid), Draws.of(grid)

    assert np.array_equal(first.values(a), second.values(a))
    assert (first.values(b) - first.values(a)).std() < 1e-9


def test_places_exclude_what_is_far_apart_and_nothing_that_is_near() -> None:
    rng = np.random.default_rng(0)
    values = np.array([0.9, 0.5, 0.49, 0.1])
    draws = values[:, None] + rng.normal(0, 0.05, (4, 2000))

    assert [str(one) for one in ranks(Parts(values, draws, np.zeros((4, 0))), 99)] == ["1", "2–3", "2–3", "4"]


def test_places_of_methods_that_are_alike_hold_together() -> None:
    """All are truly equal: with 95 % none may be excluded from any place."""
    rng, wrong = np.random.default_rng(1), 0
    for _ in range(RUNS):
        values = rng.normal(0, 0.05, 6)
        draws = values[:, None] + rng.normal(0, 0.05, (6, 1000))
        wrong += any(place != (1, 6) for place in ranks(Parts(values, draws, np.zeros((6, 0))), 999))
    assert wrong / RUNS <= 0.08


@pytest.mark.parametrize(
    ("seeds", "seed_sds"),
    [
        (1, [0.0] * 6),
        (3, [0.0] * 6),
        (3, [0.05] * 6),
        (3, [0.1] * 6),
        (5, [0.1] * 6),
        (3, [0.0, 0.02, 0.05, 0.05, 0.1, 0.2]),
        (5, [0.01, 0.01, 0.01, 0.1, 0.1, 0.1]),
    ],
    ids=str,
)
def test_intervals_and_places_hold_however_much_methods_vary_with_their_seed(seeds: int, seed_sds: list[float]) -> None:
    """All methods are truly equal, at 0. Draws alone would exclude a place in half of the tables of three seeds."""
    rng, grid, covered, wrong, tables = np.random.default_rng(3), Grid(tuple(range(seeds)), NAMES), 0, 0, RUNS // 2
    drawn = Draws.of(grid)
    for _ in range(tables):
        by_subject = rng.normal(0, 0.4, len(NAMES))
        found = []
        for sd in seed_sds:
            varied = rng.normal(0, sd, (seeds, 1)) + rng.normal(0, 0.2, (seeds, len(NAMES)))
            found.append(along(Cells(by_subject + varied, np.ones((seeds, len(NAMES)))), drawn))
        intervals = [quantity(one, len(NAMES), -1.0) for one in found]
        covered += sum(one.low <= 0 <= one.high for one in intervals)
        wrong += any(place != (1, len(found)) for place in ranks(parts(np.stack(found)), len(NAMES)))
    assert 0.92 <= covered / tables / len(seed_sds) <= 0.99
    assert wrong / tables <= 0.08


def test_a_variance_has_the_freedom_of_its_parts() -> None:
    """All of seeds: that of seeds; all of subjects: that of subjects; nothing: as sure as can be."""
    one, none = np.array(0.5), np.array(0.0)
    assert freedom(one, 2, none, 63) == pytest.approx(2)
    assert freedom(none, 2, one, 63) == pytest.approx(63)
    assert freedom(none, 2, none, 63) == np.inf
    assert freedom(one, 2, one, 2) == pytest.approx(4)


def test_how_far_t_goes_is_what_scipy_says() -> None:
    df = np.array([1.0, 2.5, 60.0, np.inf])
    for share in (0.025, 3e-5):
        assert as_far(share, df) == pytest.approx(stats.t.isf(share, df), rel=1e-6)


def test_what_is_over_seeds_is_the_variance_of_their_mean() -> None:
    """Where every subject is alike the jackknife is the textbook's variance of a mean."""
    by_seed = np.array([[0.1], [0.4], [0.9]])
    grid = Grid((0, 1, 2), NAMES)
    found = parts(along(Cells(by_seed + np.zeros((3, len(NAMES))), np.ones((3, len(NAMES)))), Draws.of(grid)))

    assert found.without.tolist() == pytest.approx([0.65, 0.5, 0.25])
    assert found.over_seeds == pytest.approx(by_seed.var(ddof=1) / 3)
    assert found.variance == pytest.approx(by_seed.var(ddof=1) / 3, rel=0.1)


def test_equal_scores_without_any_noise_share_their_places() -> None:
    values = np.array([1.0, 1.0, 0.0])
    found = Parts(values, np.repeat(values[:, None], 9, axis=1), np.repeat(values[:, None], 3, axis=1))
    assert [str(one) for one in ranks(found, 9)] == [
        "1–2",
        "1–2",
        "3",
    ]


def test_tiers_are_pareto_fronts() -> None:
    axes = np.array([[1.0, 0.2], [0.5, 0.5], [0.4, 0.4], [0.5, 0.5], [0.1, 0.1]])
    assert tiers(axes) == [1, 1, 2, 1, 3]
    shown = chance_of_front(np.repeat(axes[..., None], 3, axis=-1))
    assert shown == [1.0, 1.0, 0.0, 1.0, 0.0]
