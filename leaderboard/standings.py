"""Rows of the board: the runs of one method on one model and one fact set, over seeds."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import NamedTuple

from unlearnbench.hashing import text_hash
from unlearnbench.records.any_attack import Found, any_attack, key_of
from unlearnbench.records.record import MetricResult, Record, metric_of
from unlearnbench.records.spec import TaskSpec

ANY = "any attack"
"""The column of what some attack brings back."""
REFERENCES = ("none", "oracle")
"""What every number is read against; always shown first."""


class Setting(NamedTuple):
    """What has to be equal for two runs to be in one table."""

    model: str
    """Name, and the beginning of its weights' digest."""
    facts: str
    """Fact set and variant, and the beginning of the digest of the user's own file."""
    details: str
    """Precision, retain text, settings of the facts, and versions of the facts and of the scores."""


Groups = dict[tuple[Setting, str], list[Record]]
"""Runs by setting and method."""


@dataclass(frozen=True)
class Score:
    """One number of a row: a mean over seeds."""

    metric: str
    direction: str
    """Which way is better: `min`, `max`, or nearer to the `oracle`."""
    value: float
    error: float | None
    """The larger of the standard error over seeds and the mean standard error over items."""
    seeds: int
    difference: float | None
    """From `none` on the same seeds; None where one of those runs is missing."""


@dataclass(frozen=True)
class Standing:
    """One method in one setting."""

    setting: "Setting"
    method: str
    """Name, and the settings in which it departs from its defaults; a digest where two are called the same."""
    reference: bool
    scores: dict[str, Score]
    """By task."""
    seeds: tuple[int, ...]
    invalid: tuple[str, ...]
    """Why runs of this row are no results; they are in no mean."""
    warnings: tuple[str, ...] = ()
    """What should be known before its numbers are believed."""


def standings(
    found: Iterable[Record],
    metric: str | None = None,
    attacks: Mapping[str, Mapping[str, Found]] = MappingProxyType({}),
) -> list[Standing]:
    """Rows of all records: by model and fact set, references first, then methods by name.

    `metric` names the metric to show for every task that has it; otherwise each shows its primary one. `attacks` says
    what each attack came to, by the record's hash and task: where there are several, a last column is
    about facts that any of them brings back, of those attacks that all runs of a table have stood.
    """
    ordered = sorted(found, key=lambda one: one.sessions[0].created_at)
    columns = _columns(ordered)
    groups = grouped(ordered)
    labels = labelled(groups)
    tables: dict[Setting, list[Record]] = {}
    for (setting, _), members in groups.items():
        tables.setdefault(setting, []).extend(members)
    bases = {setting: [one for one in members if is_base(one)] for setting, members in tables.items()}
    common = {setting: _common(bases[setting] or members, attacks) for setting, members in tables.items()}
    rows = []
    for (setting, key), members in groups.items():
        valid = [record for record in members if record.status == "completed"]
        asked = dict.fromkeys(key_of(one.spec) for record in valid for one in record.tasks)
        scores = {columns[task]: _score(task, metric, valid, bases[setting]) for task in asked}
        if metric is None:
            scores[ANY] = _any(valid, attacks, common[setting])
        rows.append(
            Standing(
                setting=setting,
                method=labels[setting, key],
                reference=members[0].spec.method.name in REFERENCES,
                scores={column: score for column, score in scores.items() if score is not None},
                seeds=tuple(sorted({record.spec.seed for record in valid})),
                warnings=tuple(dict.fromkeys(warning for record in members for warning in _warnings(record))),
                invalid=tuple(f"seed {r.spec.seed}: {r.invalid_reason}" for r in members if r.invalid_reason),
            )
        )
    return sorted(rows, key=lambda row: (row.setting, not row.reference, row.method))


def grouped(found: Iterable[Record]) -> Groups:
    """The runs of each method in each setting, the latest last."""
    groups: Groups = {}
    for record in sorted(found, key=lambda one: one.sessions[0].created_at):
        groups.setdefault((_setting(record), record.spec.method.model_dump_json()), []).append(record)
    return groups


def labelled(groups: Groups) -> dict[tuple[Setting, str], str]:
    """What each row is called: the method's label, with a digest of its code where two are called the same."""
    last = {key: members[-1] for key, members in groups.items()}
    called = Counter((setting, one.label) for (setting, _), one in last.items())
    # The same code, and other inputs or settings.
    alike = Counter((setting, one.label, _digest(one)) for (setting, _), one in last.items())

    def name(setting: Setting, key: str, one: Record) -> str:
        if called[setting, one.label] == 1:
            return one.label
        digest = _digest(one)
        return f"{one.label}@{text_hash(key)[7:15] if alike[setting, one.label, digest] > 1 else digest}"

    return {(setting, key): name(setting, key, one) for (setting, key), one in last.items()}


def _warnings(record: Record) -> list[str]:
    """What the record says itself, and what is read against a number where there should be never-known facts."""
    guessed = [o.spec.name for o in record.tasks for m in o.metrics if m.primary and isinstance(m.floor, (int, float))]
    said = [f"{', '.join(guessed)}: there are no never-known facts, so that chance is the floor"] if guessed else []
    return [*record.warnings, *said]


def _common(found: Sequence[Record], attacks: Mapping[str, Mapping[str, Found]]) -> set[str]:
    """The attacks that all of these runs have stood, of those that are valid and were attacked at all."""
    valid = [one for one in found if one.status == "completed"]
    each = [set(mine) for one in valid if (mine := attacks.get(one.identity.record_hash))]
    return set.intersection(*each) if each else set()


def _any(valid: Sequence[Record], attacks: Mapping[str, Mapping[str, Found]], common: set[str]) -> Score | None:
    """The mean over seeds of what some attack brings back; None where there are not two attacks."""
    if len(common) < 2:
        return None
    estimates = {}
    for record in valid:
        mine = attacks.get(record.identity.record_hash, {})
        one = any_attack([mine[key] for key in sorted(common)]) if common <= set(mine) else None
        if one is not None:
            estimates[record.spec.seed] = one
    if not estimates:
        return None
    values = [one.value for one in estimates.values()]
    mean = math.fsum(values) / len(values)
    errors = [one.stderr for one in estimates.values() if one.stderr is not None]
    return Score("recovery", "oracle", mean, _larger(values, mean, errors), len(values), None)


def _digest(record: Record) -> str:
    """What tells two methods of one label apart: their code."""
    return "-".join(dict.fromkeys(one.source_sha256[7:11] for one in record.spec.method.everything()))


def _columns(found: Sequence[Record]) -> dict[str, str]:
    """What each task is called: by its name, and by version and settings too where there are several of a name.

    Scores of two versions are not comparable and must not share a column.
    """
    tasks = {key_of(one.spec): one.spec for record in found for one in record.tasks}
    names = Counter(task.name for task in tasks.values())
    # Whoever asks otherwise does not rename what the board's `none` was asked.
    own = {key_of(one.spec): one.spec.name for record in found if is_base(record) for one in record.tasks}
    times = Counter(own.values())

    def called(key: str, task: TaskSpec) -> str:
        if names[task.name] == 1 or (key in own and times[task.name] == 1):
            return task.name
        settings = ",".join(f"{key}={value}" for key, value in task.settings.items())
        return f"{task.name}[{settings}] v{task.version} batch {task.batch_size} {task.source_sha256[7:11]}"

    return {key: called(key, task) for key, task in tasks.items()}


def _setting(record: Record) -> Setting:
    model, facts = record.spec.model, record.spec.facts
    versions = f"facts v{facts.version}, scores v{record.spec.scores_version}"
    own = [f"{key} {value}" for key, value in facts.settings.items()]
    source = f" from {facts.file_sha256[7:13]}" if facts.file_sha256 else ""
    text = f"{model.retain_text}@{model.retain_sha256[7:13]}" if model.retain_sha256 else model.retain_text
    return Setting(
        model=f"{model.name}@{model.weights_sha256[7:13]}",
        facts=f"{facts.label}{source}",
        details=", ".join([model.dtype, f"retain text {text}", *own, versions]),
    )


def is_base(record: Record) -> bool:
    """Whether it is a valid run of the untouched model."""
    return record.spec.method.name == "none" and record.status == "completed"


def _score(task: str, metric: str | None, valid: Sequence[Record], base: Sequence[Record]) -> Score | None:
    results = _by_seed(task, metric, valid)
    if not results:
        return None
    values = [result.value for result in results.values()]
    mean = math.fsum(values) / len(values)
    first = next(iter(results.values()))
    score = Score(first.name, first.direction, mean, _error(values, mean, list(results.values())), len(values), None)
    reference = _by_seed(task, metric, base)
    if not set(results) <= set(reference):
        return score
    return replace(score, difference=mean - math.fsum(reference[seed].value for seed in results) / len(results))


def _by_seed(task: str, metric: str | None, found: Sequence[Record]) -> dict[int, MetricResult]:
    """The metric of one task, given by its key, by seed; the latest run's where there are several."""
    results = {}
    for record in found:
        for one in record.tasks:
            result = metric_of(one, metric) if key_of(one.spec) == task else None
            if result is not None:
                results[record.spec.seed] = result
    return results


def _error(values: Sequence[float], mean: float, results: Sequence[MetricResult]) -> float | None:
    return _larger(values, mean, [result.stderr for result in results if result.stderr is not None])


def _larger(values: Sequence[float], mean: float, over_items: Sequence[float]) -> float | None:
    """Of the mean standard error over items, and the one over seeds."""
    errors = [math.fsum(over_items) / len(over_items)] if over_items else []
    if len(values) > 1:
        squares = math.fsum((value - mean) ** 2 for value in values)
        errors.append(math.sqrt(squares / (len(values) - 1) / len(values)))
    return max(errors, default=None)
