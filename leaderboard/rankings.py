"""The order of methods in each setting, and how it is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tabulate import tabulate

from unlearnbench.leaderboard.entries import Entry, rows
from unlearnbench.leaderboard.evidence import Answered
from unlearnbench.leaderboard.ranking import BASE, ORACLE, Placed, Ranking, ranking
from unlearnbench.leaderboard.spread import Quantity
from unlearnbench.leaderboard.standings import Setting
from unlearnbench.records.any_attack import name_of

AXES = {"F": "forgotten", "R": "kept", "B": "robust", "S": "score"}
HEADERS = ["method", *AXES, "place", "tier", "seeds"]
LEGEND = (
    "F forgotten, R kept, B robust: 0 as the untouched model (R: as a guess), 1 as the oracle (R: as the untouched"
    " model); of each kind of attack the worst counts. S is their harmonic mean. In brackets: 95 %, over seeds and"
    " subjects. Place: those that are not excluded with 95 %. Tier, of methods with a score:"
    " in 1, no other is as good in F, R and B and better in one of them; in parentheses how often that is so."
)


def rankings(found: Sequence[Entry]) -> dict[Setting, Ranking]:
    """Every setting that has a valid run of `none`; of two runs of one method at one seed the latest counts.

    Where there are several of a reference, as after a change of its code, the first that is given counts.
    """
    order = {one.key: number for number, one in enumerate(found)}
    tables: dict[Setting, dict[str, dict[int, Mapping[str, Answered]]]] = {}
    names: dict[Setting, dict[str, tuple[int, str]]] = {}
    for (setting, label), members in rows(found).items():
        valid = [one for one in members if one.record.status == "completed" and not one.unranked]
        if valid:
            name, mine = valid[0].record.spec.method.name, names.setdefault(setting, {})
            first = min(order[one.key] for one in valid), label
            mine[name] = min(mine.get(name, first), first)
            tables.setdefault(setting, {})[label] = {one.record.spec.seed: one.answers for one in valid}
    placed = {
        setting: ranking(methods, *(names[setting].get(one, (0, one))[1] for one in (BASE, ORACLE)))
        for setting, methods in tables.items()
    }
    return {setting: one for setting, one in placed.items() if one is not None}


def shown(setting: Setting, one: Ranking, style: str) -> str:
    """A table, the best first."""
    model, facts, details = setting
    text = tabulate(lines(one), HEADERS, tablefmt=style, disable_numparse=True)
    title = f"model {model} · facts {facts} · {details}"
    return "\n".join([title, "", text, *notes(one)])


def lines(one: Ranking) -> list[list[str]]:
    """The cells of the table, as text."""
    return [[row.method, *(_quantity(row.axes.get(key)) for key in AXES), *_place(row)] for row in one.placed]


def notes(one: Ranking) -> list[str]:
    """What is to be said below it."""
    lacking: dict[tuple[str, ...], list[str]] = {}
    for row in one.placed:
        if row.lacks:
            lacking.setdefault(row.lacks, []).append(row.method)
    found = [f"not ranked, since they lack {', '.join(lacks)}: {', '.join(mine)}" for lacks, mine in lacking.items()]
    for key, what in (("F", "no way of asking"), ("R", "nothing to keep"), ("B", "no attack")):
        if not any(key in row.axes for row in one.placed):
            found.append(f"not ranked: {what} was asked for, so that nothing is known of {key} {AXES[key]}")
    if {len(row.seeds) for row in one.placed} == {1}:
        found.append("of one seed: how much methods vary with it is not known, and in no interval")
    left_out = ", ".join(name_of(task) for task in one.left_out)
    found += [f"counted for nobody, since base and reference are alike there: {left_out}"] if left_out else []
    return found + (
        ["there is no oracle that was asked the same: F is read against a guess"] if one.against == "chance" else []
    )


def _quantity(one: Quantity | None) -> str:
    return "–" if one is None else f"{one.value:.3f} [{one.low:.2f}, {one.high:.2f}]"


def _place(row: Placed) -> Sequence[str]:
    tier = "–" if row.front is None else f"{row.tier} ({row.front:.0%})"
    return "–" if row.rank is None else str(row.rank), tier, str(len(row.seeds))
