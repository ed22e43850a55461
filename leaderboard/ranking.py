"""Methods of one model and fact set in order: F, R, B and S with intervals, places that are not excluded, tiers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from unlearnbench.leaderboard.asked import called
from unlearnbench.leaderboard.cells import Array, Grid
from unlearnbench.leaderboard.draws import Draws
from unlearnbench.leaderboard.evidence import Answered
from unlearnbench.leaderboard.ranks import Rank, chance_of_front, ranks, tiers
from unlearnbench.leaderboard.score import (
    Reference,
    along,
    forgotten,
    harmonic,
    kept,
    recovery,
    robust,
)
from unlearnbench.leaderboard.spread import Quantity, parts, quantity
from unlearnbench.records.any_attack import name_of

BASE, ORACLE = "none", "oracle"
Runs = Mapping[int, Mapping[str, Answered]]
"""Of one method: by seed, the tasks that it answers."""


@dataclass(frozen=True)
class Placed:
    """One method."""

    method: str
    reference: bool
    seeds: tuple[int, ...]
    lacks: tuple[str, ...]
    """Tasks, or seeds, that it would need to be ranked."""
    axes: Mapping[str, Quantity]
    """F, R and B, as far as it was asked; and S where it has all three."""
    rank: Rank | None = None
    tier: int | None = None
    """Among methods whose score is above 0 with 95 %; references have none."""
    front: float | None = None
    """How often it is in the first tier."""


@dataclass(frozen=True)
class Ranking:
    """All methods of one table, the best first."""

    placed: tuple[Placed, ...]
    against: str
    """What forgetting is read against: `oracle`, or `chance` where there is none."""
    left_out: tuple[str, ...]
    """Tasks on which base and reference are too near each other to tell anything."""
    subjects: int
    """How many there are in all tasks: with the seeds, what intervals are over."""
    scored: Mapping[str, Mapping[str, Array]] = field(default_factory=dict, compare=False, repr=False)
    """F, R, B and S of each method by its label: the value, that of each draw, which all methods share, and without
    each seed."""


def ranking(methods: Mapping[str, Runs], base: str = BASE, oracle: str = ORACLE) -> Ranking | None:
    """`methods` by label; `base` and `oracle` are the labels of the references. None where there is no base.

    Every method is asked what the base was asked, at the seeds at which the base was. One that was asked less is shown
    without a place.
    """
    needed = sorted(set.intersection(*(set(tasks) for tasks in methods[base].values()))) if base in methods else []
    if not needed:
        return None
    seeds = tuple(sorted(methods[base]))
    # Seeds are the base's: whoever has more of them could show the best.
    methods = {name: {seed: runs[seed] for seed in seeds if seed in runs} for name, runs in methods.items()}
    methods = {name: runs for name, runs in methods.items() if runs}
    lacks = {name: _lacking(runs, needed, seeds) for name, runs in methods.items()}
    # One that was asked less would stand for other facts than the base does.
    table = _Table(methods, base, oracle if oracle in methods and not lacks[oracle] else None, needed)
    scored = {name: table.axes(name) for name in methods}
    able = [n for n in methods if not lacks[n] and len(scored[n]) == 4]
    quantities = {n: {key: quantity(one, table.subjects) for key, one in scored[n].items()} for n in methods}
    placed = [Placed(n, n in (base, oracle), tuple(sorted(methods[n])), lacks[n], quantities[n]) for n in methods]
    if able:
        placed = _with_places(placed, able, scored, table.subjects)
    # Of those that have nothing, the one that did nothing is last.
    order = sorted(placed, key=lambda one: (one.rank is None, -_value(one), one.method == base, one.method))
    against = "oracle" if table.oracle else "chance"
    return Ranking(tuple(order), against, tuple(table.left_out), table.subjects, scored)


class _Table:
    """The values of all methods on the same draws."""

    def __init__(self, methods: Mapping[str, Runs], base: str, oracle: str | None, needed: Sequence[str]) -> None:
        self.methods, self.base, self.oracle, self.needed = methods, base, oracle, needed
        parts = [part for runs in methods.values() for task in needed for part in _parts(runs, task)]
        self.grid = Grid.of(parts)
        self.draws, self.subjects = Draws.of(self.grid), len(self.grid.clusters)
        self.kinds = {task: next(iter(methods[base].values()))[task] for task in needed}
        self.references = {t: self._reference(t) for t in needed if self.kinds[t].axis != "robust"}
        self.left_out = [task for task, one in self.references.items() if not one.room]

    def axes(self, name: str) -> dict[str, Array]:
        """F, R, B and S of a method; those that it cannot have are not there."""
        found = dict[str, Array]()
        for axis, key, of in (("forget", "F", forgotten), ("retain", "R", kept)):
            tasks = [task for task in self.needed if self.kinds[task].axis == axis]
            values = {task: one for task in tasks if (one := self._value(name, task)) is not None}
            if len(values) == len(tasks):
                one = of(values, {task: self.references[task] for task in tasks})
                found |= {} if one is None else {key: one}
        attacks = [task for task in self.needed if self.kinds[task].axis == "robust"]
        recoveries = {task: one for task in attacks if (one := self._recovery(name, task)) is not None}
        if attacks and len(recoveries) == len(attacks):
            left = robust([(name_of(task).rpartition("/")[2], one) for task, one in recoveries.items()])
            found |= {} if left is None else {"B": left}
        return {**found, "S": harmonic(list(found.values()))} if len(found) == 3 else found

    def _value(self, name: str, task: str) -> Array | None:
        values = {seed: tasks[task].values for seed, tasks in self.methods[name].items() if task in tasks}
        return along(self.grid.cells(values), self.draws) if values else None

    def _recovery(self, name: str, task: str) -> Array | None:
        runs = {seed: tasks[task] for seed, tasks in self.methods[name].items() if task in tasks}
        if not runs:
            return None
        value, ceiling = (
            along(self.grid.cells({seed: getattr(one, part) for seed, one in runs.items()}), self.draws)
            for part in ("values", "ceiling")
        )
        floors = {seed: one.floor for seed, one in runs.items() if isinstance(one.floor, tuple)}
        if floors:
            return recovery(value, along(self.grid.cells(floors), self.draws), ceiling)
        guess = [one.floor for one in runs.values() if isinstance(one.floor, float)]
        return recovery(value, np.full_like(value, float(np.mean(guess))), ceiling)

    def _reference(self, task: str) -> Reference:
        base = self._value(self.base, task)
        assert base is not None
        kind = self.kinds[task]
        of_oracle = self._value(self.oracle, task) if self.oracle and kind.axis == "forget" else None
        chance = np.full_like(base, kind.chance or 0.0)
        return Reference(base, chance if of_oracle is None else of_oracle)


def _parts(runs: Runs, task: str) -> list[dict[int, Sequence[tuple[str, float]]]]:
    """All items of a task, for the grid."""
    found = list[dict[int, Sequence[tuple[str, float]]]]()
    for seed, tasks in runs.items():
        if task in tasks:
            one = tasks[task]
            floor = one.floor if isinstance(one.floor, tuple) else ()
            found.append({seed: (*one.values, *one.ceiling, *floor)})
    return found


def _lacking(runs: Runs, needed: Sequence[str], seeds: Sequence[int]) -> tuple[str, ...]:
    lost = [f"a valid run at seed {seed}" for seed in seeds if seed not in runs]
    tasks = {called(task, mine) for mine in runs.values() for task in needed if task not in mine}
    return (*lost, *sorted(tasks))


def _with_places(
    placed: Sequence[Placed], able: Sequence[str], scored: Mapping[str, Mapping[str, Array]], subjects: int
) -> list[Placed]:
    """Places are among all, tiers among methods with a score.

    An oracle is as good as anything in everything; and to keep all or to forget all, and nothing else, is no trade-off.
    """
    places = dict(zip(able, ranks(parts(np.stack([scored[name]["S"] for name in able])), subjects), strict=True))
    entered = [one.method for one in placed if one.method in able and not one.reference and one.axes["S"].low > 0]
    axes = [np.stack([scored[name][key] for key in "FRB"]) for name in entered]
    found = parts(np.stack(axes)) if axes else None
    levels, fronts = (tiers(found.value), chance_of_front(found.draws)) if found else ([], [])
    by_name = dict(zip(entered, zip(levels, fronts, strict=True), strict=True))
    none = (None, None)
    return [
        replace(
            one,
            rank=places.get(one.method),
            tier=by_name.get(one.method, none)[0],
            front=by_name.get(one.method, none)[1],
        )
        for one in placed
    ]


def _value(one: Placed) -> float:
    return one.axes["S"].value if "S" in one.axes else -1.0
