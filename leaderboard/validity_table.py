"""What attacks and metrics are worth, as text for a terminal or a page, and as data."""

import json
import math
from collections.abc import Sequence

from tabulate import tabulate

from unlearnbench.leaderboard.standings import ANY
from unlearnbench.leaderboard.validity import (
    ANY_QUICK,
    FOUND,
    LEAST_KNOWN,
    MOST_FOUND,
    AttackValidity,
    attack_validity,
    metric_validity,
    rank_correlation,
)
from unlearnbench.records.case import Case
from unlearnbench.records.separation import Separation

ATTACKS = (
    "Recovery ρ, mean over seeds: 0 is what an attack finds of facts that nobody ever taught, 1 what the base says"
    " without any; in the line of `…/forget`, the share of facts that a model says by itself. An attack is invalid that"
    f" finds more than {MOST_FOUND:g} in models that never had the facts (`none there`: the oracle, and the oracle"
    f" after each of the same changes), or less than {LEAST_KNOWN:g} in the base. It sees through a way of hiding from"
    f" {FOUND:g} on."
)
METRICS = (
    "AUC: the share of pairs of a model that has the facts and one that lacks them in which the first scores higher,"
    " with its 95 % interval; `hidden`: where those that have them hide them. Robustness: 1 − how much more a score"
    " rises where facts are hidden than where there are none, once half of the facts are taught back (relearned) or the"
    " weights are rounded to four bits (rounded); 1 for a number that had overlooked nothing."
)


def render(cases: Sequence[Case], style: str = "simple") -> str:
    """A table of attacks for each organism, one of all metrics, and which models are no such models."""
    parts = [f"{model}\n\n{_attacks(found, style)}" for model, found in attack_validity(cases).items() if found]
    parts += [ATTACKS] if parts else []
    metrics = metric_validity(cases)
    if metrics:
        lines = [
            [one.metric, _apart(one.plain), _apart(one.hidden), *(_number(v) for v in one.robustness.values())]
            for one in metrics
        ]
        head = ["metric", "AUC", "AUC, hidden", *metrics[0].robustness]
        parts += [tabulate(lines, head, tablefmt=style, disable_numparse=True), METRICS]
    told = rank_correlation(cases, ANY_QUICK, ANY)
    if told is not None:
        among = f"over {told[1]} models that have the facts"
        parts.append(f"Rank correlation of {ANY_QUICK} with {ANY} {among}: {told[0]:.2f}.")
    parts += [f"left out: {one.model} {one.way}, seed {one.seed}: {one.invalid}" for one in cases if one.invalid]
    return "\n\n".join(parts)


def _attacks(found: Sequence[AttackValidity], style: str) -> str:
    lines = [[one.attack, *map(_number, (one.base, one.lacking, *one.hidden.values())), one.verdict] for one in found]
    return tabulate(
        lines,
        ["attack", "base", "none there", *found[0].hidden, "verdict"],
        tablefmt=style,
        disable_numparse=True,
    )


def as_json(cases: Sequence[Case]) -> str:
    """The same as data."""
    attacks = [
        {
            "model": model,
            "attack": one.attack,
            "base": _plain(one.base),
            "none_there": _plain(one.lacking),
            "hidden": {way: _plain(value) for way, value in one.hidden.items()},
            "verdict": one.verdict,
        }
        for model, found in attack_validity(cases).items()
        for one in found
    ]
    metrics = [
        {
            "metric": one.metric,
            "auc": {"plain": one.plain._asdict(), "hidden": one.hidden._asdict()},
            "robustness": one.robustness,
        }
        for one in metric_validity(cases)
    ]
    return json.dumps({"attacks": attacks, "metrics": metrics}, indent=1, ensure_ascii=False, allow_nan=False)


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2f}".replace("-", "−")


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else value


def _apart(found: Separation) -> str:
    low, high = found.interval
    return f"{found.auc:.2f} [{low:.2f}, {high:.2f}]"
