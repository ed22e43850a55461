"""Fair cuts and fair targets: every part of a split has each kind of fact as equally often as can be.

A relearning attack that trains on T, where one answer happens to be common, teaches that answer to V.
"""

import random
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

Item = TypeVar("Item")


def cut(
    items: Sequence[Item], stratum: Callable[[Item], Hashable], shares: Sequence[float], rng: random.Random
) -> list[list[Item]]:
    """Parts of the given shares, whole and in every stratum, each to within one item; in random order.

    Stratum after stratum, the next item goes to the part that lacks most. Shares sum to 1.
    """
    shuffled = rng.sample(list(items), len(items))
    strata: dict[Hashable, list[Item]] = {}
    for item in shuffled:
        strata.setdefault(stratum(item), []).append(item)
    parts: list[list[Item]] = [[] for _ in shares]
    taken = 0
    for key in sorted(strata, key=repr):
        for item in strata[key]:
            taken += 1
            lacking = [share * taken - len(part) for share, part in zip(shares, parts, strict=True)]
            parts[lacking.index(max(lacking))].append(item)
    for part in parts:
        rng.shuffle(part)
    return parts


def other_answers(answers: Sequence[str], choices: Sequence[str], rng: random.Random) -> list[str]:
    """For each answer another of the choices: every (answer, other) pair as equally often as can be.

    Where all answers are equally common, so are the others: a balanced derangement. Then neither the
    true answers nor the targets of an edit can be guessed from one another. `choices` holds every answer and
    at least two.
    """
    order = rng.sample(list(choices), len(choices))
    seen = dict.fromkeys(order, 0)
    found = [""] * len(answers)
    for index in rng.sample(range(len(answers)), len(answers)):
        answer = answers[index]
        step = 1 + seen[answer] % (len(order) - 1)
        found[index] = order[(order.index(answer) + step) % len(order)]
        seen[answer] += 1
    return found
