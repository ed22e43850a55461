"""Is one method better than another? The same items at the same seeds, task by task."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from unlearnbench.errors import UsageError
from unlearnbench.leaderboard.cells import Grid
from unlearnbench.leaderboard.evidence import Line, valued
from unlearnbench.leaderboard.paired import difference, holm
from unlearnbench.leaderboard.uncertainty import LEVEL, Mean
from unlearnbench.records.any_attack import key_of
from unlearnbench.records.record import MetricResult, Record, TaskResult, metric_of

Lines = Callable[[Record, TaskResult], Iterable[Line]]
"""The item log of a task of a record."""
CERTAIN = 1 - LEVEL


@dataclass(frozen=True)
class Contestant:
    """A method: its valid runs by seed."""

    name: str
    runs: Mapping[int, Record]


@dataclass(frozen=True)
class Compared:
    """One task of two methods."""

    first: str
    second: str
    task: str
    metric: str
    """What is compared; of an attack what it makes the model answer, not the recovery that is made of it."""
    direction: str
    """`min`, `max`, or `oracle` (less is more forgotten)."""
    values: tuple[float, float]
    change: float
    """The second minus the first, …"""
    low: float
    high: float
    """… with an interval of 95 % over seeds and subjects."""
    p: float
    """That there is no difference, corrected for all that is compared here (Holm)."""
    detectable: float
    """The true difference that the t test would have seen four times in five, as one of all that are compared here."""
    won: int
    lost: int
    """Items on which the second is better, and worse."""
    items: int
    seeds: int
    subjects: int

    @property
    def better(self) -> str | None:
        """Who; None where it cannot be told."""
        if self.p >= CERTAIN or self.change == 0:
            return None
        more = self.second if self.change > 0 else self.first
        less = self.first if self.change > 0 else self.second
        return more if self.direction == "max" else less


def compared(
    contestants: Sequence[Contestant], lines: Lines, note: Callable[[str], None] = lambda _: None
) -> list[Compared]:
    """Every pair on every task that both were asked, corrected together; `note` is told of tasks that say nothing.

    Raises `UsageError` for what cannot be compared, with the field in which the two differ.
    """
    found = list[tuple[Compared, Mean]]()
    for first, second in combinations(contestants, 2):
        _refuse_unlike(first, second)
        found += _pair(first, second, lines, note)
    if not found:
        names = ", ".join(one.name for one in contestants)
        raise UsageError(f"{names} were asked no task in common", "ask them the same with `run --tasks`")
    corrected = holm([one.p for one, _ in found])
    return [
        replace(one, p=p, detectable=mean.detectable(len(found)))
        for (one, mean), p in zip(found, corrected, strict=True)
    ]


def verdict(first: str, second: str, found: Sequence[Compared]) -> str:
    """In a sentence."""
    mine = [one for one in found if (one.first, one.second) == (first, second)]
    better, worse, open_ = ([one.task for one in mine if one.better == who] for who in (second, first, None))
    said = []
    if better:
        said.append(f"is better than {first} on {_listed(better)}")
    if worse:
        said.append(f"is worse{'' if better else f' than {first}'} on {_listed(worse)}")
    if open_:
        seen = max(one.detectable for one in mine if one.better is None)
        said.append(
            f"cannot be told from it on {_listed(open_)}, where a difference of {seen:.2f} would have been missed"
            " one time in five"
        )
    return f"{second} {', and '.join(said)}."


def _pair(
    first: Contestant, second: Contestant, lines: Lines, note: Callable[[str], None]
) -> list[tuple[Compared, Mean]]:
    seeds = sorted(set(first.runs) & set(second.runs))
    asked = [[{key_of(t.spec): t for t in one.runs[seed].tasks} for seed in seeds] for one in (first, second)]
    shared = [key for key in asked[0][0] if all(key in tasks for side in asked for tasks in side)]
    found = []
    for key in shared:
        tasks = [[tasks[key] for tasks in side] for side in asked]
        metric = metric_of(tasks[0][0])
        if metric is not None and metric.weight is None:
            items = [
                {s: _items(metric, lines(one.runs[s], task)) for s, task in zip(seeds, side, strict=True)}
                for one, side in zip((first, second), tasks, strict=True)
            ]
            try:
                found.append(_compare(first.name, second.name, tasks[0][0], metric, items[0], items[1]))
            except ValueError as error:  # of one subject, or of none
                note(f"{first.name} and {second.name} are not compared on {tasks[0][0].spec.name}: {error}")
    return found


Items = Mapping[int, Mapping[str, tuple[str, float]]]
"""By seed and item: its subject and its value."""


def _items(metric: MetricResult, lines: Iterable[Line]) -> dict[str, tuple[str, float]]:
    mine = valued(lines, metric.subset, metric.sample_field)
    return {line["item"]: (line["cluster"], value) for line, value in mine}


def _compare(
    first: str, second: str, task: TaskResult, metric: MetricResult, a: Items, b: Items
) -> tuple[Compared, Mean]:
    for seed in a:
        if a[seed].keys() != b[seed].keys():
            other = sorted(a[seed].keys() ^ b[seed].keys())[0]
            raise UsageError(
                f"{task.spec.name}, seed {seed}: {first} and {second} were not asked the same items, such as {other!r}",
                "the model knew other facts in one of the runs; repeat both on one machine",
            )
    grid = Grid.of([{seed: list(items.values()) for seed, items in side.items()} for side in (a, b)])
    mine, theirs = (grid.cells({s: list(items.values()) for s, items in side.items()}) for side in (a, b))
    found = difference(theirs, mine)
    low, high = found.mean.interval(share=False)
    changes = [b[seed][item][1] - value for seed in a for item, (_, value) in a[seed].items()]
    up, down = sum(change > 0 for change in changes), sum(change < 0 for change in changes)
    won, lost = (up, down) if metric.direction == "max" else (down, up)
    one = Compared(
        first=first,
        second=second,
        task=task.spec.name,
        metric=metric.sample_field,
        direction=metric.direction,
        values=(mine.value, theirs.value),
        change=found.mean.value,
        low=low,
        high=high,
        p=found.p,
        detectable=found.mean.detectable(),
        won=won,
        lost=lost,
        items=len(changes),
        seeds=found.mean.seeds,
        subjects=found.mean.clusters,
    )
    return one, found.mean


def _refuse_unlike(first: Contestant, second: Contestant) -> None:
    seeds = sorted(set(first.runs) & set(second.runs))
    if not seeds:
        raise UsageError(
            f"{first.name} has seeds {sorted(first.runs)} and {second.name} {sorted(second.runs)}: none in common",
            "run both at the same seeds",
        )
    for seed in seeds:
        a, b = first.runs[seed].spec, second.runs[seed].spec
        sides = {
            "model": (a.model.weights_sha256[:19], b.model.weights_sha256[:19]),
            "dtype": (a.model.dtype, b.model.dtype),
            "chat template": (a.model.chat_template, b.model.chat_template),
            "facts": (a.facts.label, b.facts.label),
            "settings of the facts": (a.facts.settings, b.facts.settings),
            "items": (a.facts.items_sha256[:19], b.facts.items_sha256[:19]),
            "version of the scores": (a.scores_version, b.scores_version),
        }
        for field, (mine, theirs) in sides.items():
            if mine != theirs:
                raise UsageError(
                    f"{first.name} and {second.name} cannot be compared: the {field} is {mine} and {theirs}",
                    "compare runs on one model and one fact set",
                )


def _listed(tasks: Sequence[str]) -> str:
    names = [task.rpartition("/")[2] for task in tasks]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
