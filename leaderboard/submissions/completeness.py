"""Which runs are missing for a row to be ranked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from unlearnbench.leaderboard.standings import grouped, labelled
from unlearnbench.records.any_attack import key_of, name_of
from unlearnbench.records.record import Record


def missing_cells(found: Iterable[Record]) -> list[str]:
    """Seeds that only some rows have, and tasks that only some runs were asked, in a sentence for each row."""
    records = list(found)
    groups = grouped(records)
    labels = labelled(groups)
    said = list[str]()
    for setting in dict.fromkeys(setting for setting, _ in groups):
        mine = {labels[key]: members for key, members in groups.items() if key[0] == setting}
        seeds = sorted({one.spec.seed for members in mine.values() for one in members})
        tasks = {key_of(task.spec) for members in mine.values() for one in members for task in one.tasks}
        if not any(one.spec.method.name == "none" for members in mine.values() for one in members):
            said.append(f"{setting.facts} on {setting.model}: no run of `none`, from which forgetting is counted")
        for label, members in mine.items():
            said += [f"{label}: {one}" for one in _missing(members, seeds, tasks)]
    return said


def _missing(members: Sequence[Record], seeds: Sequence[int], tasks: set[str]) -> list[str]:
    valid = {one.spec.seed: {key_of(task.spec) for task in one.tasks} for one in members if one.status == "completed"}
    there = {one.spec.seed for one in members}
    lost = [f"no run at seed {seed}" for seed in seeds if seed not in there]
    for seed, asked in sorted(valid.items()):
        names = sorted({name_of(task) for task in tasks - asked})
        lost += [f"seed {seed} was not asked {', '.join(names)}"] if names else []
    return lost
