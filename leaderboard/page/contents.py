"""What the page shows, as data: rows, their scores and intervals, differences between them, curves."""

from __future__ import annotations

import itertools
import math
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from unlearnbench.leaderboard.board import Board
from unlearnbench.leaderboard.entries import Entry
from unlearnbench.leaderboard.page.curves import curves
from unlearnbench.leaderboard.ranking import Placed, Ranking
from unlearnbench.leaderboard.rankings import AXES, notes
from unlearnbench.leaderboard.spread import Quantity, quantity
from unlearnbench.leaderboard.standings import Score, Setting, Standing
from unlearnbench.leaderboard.submissions.levels import lowest
from unlearnbench.records.checked import LEVELS

DIGITS = 4
Json = dict[str, Any]


def contents(board: Board, folders: Sequence[str], page: Path) -> Json:
    """Everything; numbers have four digits. Records are linked from where the page lies."""
    ranked = board.rankings
    # A page begins with the first: one that is ranked, and of these the one that says most.
    methods = Counter(row.setting for row in board.standings)
    settings = sorted(methods, key=lambda one: (one not in ranked, -methods[one]))
    at = {one: number for number, one in enumerate(settings)}
    return {
        "folders": list(folders),
        "axes": AXES,
        "levels": LEVELS,
        "settings": [_setting(one, ranked.get(one), settings) for one in settings],
        "rows": [
            _row(row, at[row.setting], ranked.get(row.setting), board.runs[row.setting, row.method], page)
            for row in board.standings
        ],
        "differences": [_differences(ranked.get(one)) for one in settings],
    }


def _setting(setting: Setting, one: Ranking | None, among: Sequence[Setting]) -> Json:
    """A fact set of a name that was there before bears its details, so that each can be chosen."""
    first = next(other for other in among if (other.model, other.facts) == (setting.model, setting.facts))
    facts = setting.facts if first == setting else f"{setting.facts} · {setting.details}"
    said = ["not ranked: the board has no valid run of `none` here"] if one is None else notes(one)
    told = {"model": setting.model, "facts": facts, "fact_set": setting.facts}
    return {**told, "details": setting.details, "notes": said}


def _row(row: Standing, setting: int, ranking: Ranking | None, runs: Sequence[Entry], page: Path) -> Json:
    placed = next((one for one in ranking.placed if one.method == row.method), None) if ranking else None
    method = runs[-1].record.spec.method
    shares = [run.record.localization.share_of_blocks for run in runs]
    return {
        "setting": setting,
        "method": row.method,
        "reference": row.reference,
        **_place(placed),
        "seeds": list(row.seeds),
        "invalid": list(row.invalid),
        "warnings": list(row.warnings),
        "seconds": _mean([_seconds(run) for run in runs]),
        "share": _mean([share for share in shares if share is not None]),
        "parts": {axis: part.name for axis, part in method.parts.items()},
        "checked": lowest(run.level for run in [one for one in runs if one.record.status == "completed"] or runs),
        "submission": _submission(runs),
        "unranked": runs[-1].unranked,
        "tasks": {task: _score(score) for task, score in row.scores.items()},
        "curves": curves([run.record for run in runs if run.record.status == "completed"]),
        "runs": [_run(run, page) for run in sorted(runs, key=lambda one: one.record.spec.seed)],
    }


def _place(one: Placed | None) -> Json:
    if one is None:
        return {**dict.fromkeys(AXES), "place": None, "tier": None, "front": None, "lacks": []}
    place = None if one.rank is None else [one.rank.first, one.rank.last]
    axes = {key: _quantity(one.axes.get(key)) for key in AXES}
    return {**axes, "place": place, "tier": one.tier, "front": _round(one.front), "lacks": list(one.lacks)}


def _quantity(one: Quantity | None) -> list[float | None] | None:
    """Value, and the ends of its interval."""
    return None if one is None else [_round(one.value), _round(one.low), _round(one.high)]


def _score(one: Score) -> Json:
    found = {"metric": one.metric, "value": _round(one.value), "error": _round(one.error), "seeds": one.seeds}
    return {**found, "better": one.direction, "difference": _round(one.difference)}


def _seconds(run: Entry) -> float:
    """Of localizing and editing."""
    stages = run.record.sessions[0].resources.stages_s
    return stages.get("localize", 0.0) + stages.get("edit", 0.0)


def _run(run: Entry, page: Path) -> Json:
    record = run.record
    path = Path(os.path.relpath(run.path, page.parent)).as_posix()
    found = {"seed": record.spec.seed, "status": record.status, "path": path, "checked": run.level}
    return {**found, "result": record.identity.result_hash, "at": record.sessions[0].created_at[:10]}


def _submission(runs: Sequence[Entry]) -> Json | None:
    one = next((run.submission for run in runs if run.submission is not None), None)
    if one is None:
        return None
    said = {"name": one.name, "by": one.submitter, "about": one.description, "url": one.method_url}
    return {**said, "trials": one.tuning.trials, "on": one.tuning.on}


def _differences(one: Ranking | None) -> Json:
    """Of every two ranked methods, by their labels: how much higher the first is, and between what, by axis."""
    if one is None:
        return {"methods": [], "pairs": []}
    methods = [row.method for row in one.placed if row.rank is not None]
    pairs = [
        [_quantity(quantity(one.scored[first][axis] - one.scored[second][axis], one.subjects, -1.0)) for axis in AXES]
        for first, second in itertools.combinations(methods, 2)
    ]
    return {"methods": methods, "pairs": pairs}


def _mean(values: Sequence[float]) -> float | None:
    return _round(math.fsum(values) / len(values)) if values else None


def _round(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, DIGITS)
