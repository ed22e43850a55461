"""How well a number tells two kinds of models apart."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from unlearnbench.records.estimate import Z


class Separation(NamedTuple):
    """The area under the ROC curve, and how sure it is."""

    auc: float
    """P(higher for a model that has the facts than for one that has not), ties counted half."""
    interval: tuple[float, float]
    """Of 95 % confidence."""


def separation(having: Sequence[float], lacking: Sequence[float]) -> Separation:
    """AUC of the models that have something against those that lack it (Mann and Whitney).

    The interval is Newcombe's fifth (2006, Statistics in Medicine 25, 559): the values A for which |A − Â| is within z
    errors of Hanley and McNeil at A itself, so that a perfect separation of few models is not certainty.
    Raises `ValueError` where one of the two is empty.
    """
    if not having or not lacking:
        raise ValueError("both kinds of models are needed")
    wins = math.fsum((mine > other) + 0.5 * (mine == other) for mine in having for other in lacking)
    auc = wins / (len(having) * len(lacking))

    def within(at: float) -> bool:
        return abs(at - auc) <= Z * _error(at, len(having), len(lacking))

    return Separation(auc, (_edge(auc, 0.0, within), _edge(auc, 1.0, within)))


def _error(auc: float, having: int, lacking: int) -> float:
    """Hanley and McNeil's standard error (1982), with both sizes in place of each for their numbers of comparisons."""
    more = (having + lacking) / 2 - 1
    spread = auc * (1 - auc) * (1 + more * ((1 - auc) / (2 - auc) + auc / (1 + auc)))
    return math.sqrt(spread / (having * lacking))


def _edge(inside: float, outside: float, within: Callable[[float], bool]) -> float:
    """The last value on the way from `inside` to `outside` that is still within, by bisection."""
    if within(outside) and outside == inside:
        return outside
    for _ in range(60):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if within(middle) else (inside, middle)
    return inside
