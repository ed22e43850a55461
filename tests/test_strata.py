"""Fair cuts and fair targets, by brute count."""

import random
from collections import Counter

import pytest

from unlearnbench.strata import cut, other_answers


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.7, 0.1, 0.2), (1.0,)])
@pytest.mark.parametrize("seed", range(5))
def test_every_part_has_its_share_of_the_whole_and_of_every_stratum(shares: tuple[float, ...], seed: int) -> None:
    rng = random.Random(seed)
    items = [(rng.choice("abcde"), index) for index in range(203)]

    parts = cut(items, lambda item: item[0], shares, random.Random(seed))

    assert sorted(item for part in parts for item in part) == sorted(items)
    size = Counter(kind for kind, _ in items)
    for part, share in zip(parts, shares, strict=True):
        assert abs(len(part) - share * len(items)) <= 1
        for kind, count in Counter(kind for kind, _ in part).items():
            assert abs(count - share * size[kind]) < 2


def test_a_cut_is_a_function_of_its_seed_and_keeps_no_order() -> None:
    items = list(range(100))

    one, again, other = (cut(items, lambda i: i % 3, (0.5, 0.5), random.Random(seed)) for seed in (0, 0, 1))

    assert one == again != other
    assert one[0] != sorted(one[0])


@pytest.mark.parametrize("each", [1, 4, 13])
@pytest.mark.parametrize("kinds", [2, 3, 5, 8])
def test_other_answers_are_a_balanced_derangement(each: int, kinds: int) -> None:
    choices = "abcdefgh"[:kinds]
    answers = list(choices) * each

    targets = other_answers(answers, choices, random.Random(0))

    assert all(answer != target for answer, target in zip(answers, targets, strict=True))
    assert Counter(targets) == Counter(answers)
    pairs = Counter(zip(answers, targets, strict=True))
    every = [pairs[a, b] for a in choices for b in choices if a != b]
    assert max(every) - min(every) <= 1
