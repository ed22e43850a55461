"""Which runs are missing for a row to be ranked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from unlearnbench.leaderboard.asked import called
from unlearnbench.leaderboard.standings import grouped, is_base, labelled
from unlearnbench.records.any_attack import key_of
from unlearnbench.records.record import Record


def missing_cells(found: Iterable[Record], board: Iterable[Record] = ()) -> list[str]:
    """Seeds and tasks that rows lack, in a sentence for each row.

    What is needed is what `none` has: the board's own in each setting, from `board`, or else the submission's.
    """
    groups = grouped(found)
    labels = labelled(groups)
    base = {setting: members for (setting, _), members in grouped(filter(is_base, board)).items()}
    own = {setting: members for (setting, _), members in groups.items() if is_base(members[-1])}
    said = list[str]()
    for setting in dict.fromkeys(setting for setting, _ in groups):
        needed = base.get(setting) or own.get(setting)
        if needed is None:
            said.append(f"{setting.facts} on {setting.model}: no run of `none`, from which forgetting is counted")
            continue
        for (other, key), members in groups.items():
            if other == setting:
                said += [f"{labels[setting, key]}: {one}" for one in _missing(members, needed)]
    return said


def _missing(members: Sequence[Record], needed: Sequence[Record]) -> list[str]:
    seeds = sorted({one.spec.seed for one in needed})
    tasks = set.intersection(*({key_of(task.spec) for task in one.tasks} for one in needed))
    valid = {one.spec.seed: {key_of(task.spec) for task in one.tasks} for one in members if one.status == "completed"}
    there = {one.spec.seed for one in members}
    lost = [f"no run at seed {seed}" for seed in seeds if seed not in there]
    lost += [f"no valid run at seed {seed}" for seed in seeds if seed in there and seed not in valid]
    for seed in (seed for seed in seeds if seed in valid):
        names = sorted(called(key, valid[seed]) for key in tasks - valid[seed])
        lost += [f"seed {seed} was not asked {', '.join(names)}"] if names else []
    return lost
