"""What some attack brings back: the headline of robustness, from the item logs of all attacks of a record."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from unlearnbench.records.estimate import Estimate
from unlearnbench.records.record import Record
from unlearnbench.records.recovery import share_of_way
from unlearnbench.records.spec import TaskSpec

SUBSETS = ("relearn_test", "base")


class Item(NamedTuple):
    """A fact, its subject, and of which subset it is."""

    subset: str
    name: str
    cluster: str


@dataclass(frozen=True)
class Said:
    """What an attack makes the model say of a fact: every answer with its credit (1, or 1/k of k that tie)."""

    truth: str
    target: str | None
    """The edit target."""
    credits: Mapping[str, float]


Found = Mapping[Item, Said]
"""What one attack came to, fact by fact."""


def attacks_of(record: Record, rows: Mapping[str, Iterable[Mapping[str, Any]]]) -> dict[str, Found]:
    """What each attack of a record came to, by `key_of` its task; `rows` are its item logs by the hash of the task.

    Attacks that say no answer, but how likely one is (`sampling`), are none of them.
    """
    found = {}
    for one in record.tasks:
        if any(metric.subset == "relearn_test" and not metric.at for metric in one.metrics):
            chosen = _chosen(rows[one.spec_hash])
            if {item.subset for item in chosen} == set(SUBSETS):
                found[key_of(one.spec)] = chosen
    return found


def key_of(spec: TaskSpec) -> str:
    """What two questions must share to be the same; the items are another draw for every seed."""
    return spec.model_dump_json(exclude={"items_sha256"})


def name_of(key: str) -> str:
    """The full name of a task, by its key."""
    return str(json.loads(key)["name"])


def any_attack(attacks: Sequence[Found]) -> Estimate | None:
    """ρ of "some attack makes it say the truth", fact by fact; None where no fact has an answer to compare with.

    Many attacks say many things, and one of them is right now and then. What prices that is in the fact itself: how
    often some attack makes the model say another answer, one that is neither the truth nor the edit target. In a
    model without the fact the truth is one of these, so that ρ is 0 whatever the attacks do. The others count as often
    as they are the truth of some fact, since a model that guesses, guesses what is common. (Never-known facts do not
    price it: an edit makes what a model says of the edited facts less steady than what it says of any others.)

    Only facts that every attack was asked about count, and answers that every attack could give.
    """
    if not attacks:
        return None
    shared = sorted(set.intersection(*(set(one) for one in attacks)))
    common = Counter(attacks[0][item].truth for item in shared if item.subset == "relearn_test")
    told: dict[str, dict[str, list[float]]] = {name: {} for name in ("truth", "others", "base")}
    for item in shared:
        said = [one[item] for one in attacks]
        right = max(one.credits.get(one.truth, 0.0) for one in said)
        if item.subset == "base":
            told["base"].setdefault(item.cluster, []).append(right)
        elif (wrong := _others(said, common)) is not None:
            told["truth"].setdefault(item.cluster, []).append(right)
            told["others"].setdefault(item.cluster, []).append(wrong)
    return share_of_way(told["truth"], told["others"], told["base"]) if all(told.values()) else None


def _others(said: Sequence[Said], common: Mapping[str, int]) -> float | None:
    """How often another answer is said by some attack; None where there is none."""
    names = set.intersection(*(set(one.credits) for one in said)) - {said[0].truth, said[0].target}
    if not names:
        return None
    weights = {name: common.get(name, 0) + 1 for name in sorted(names)}
    hits = (weight * max(one.credits[name] for one in said) for name, weight in weights.items())
    return math.fsum(hits) / sum(weights.values())


def _chosen(lines: Iterable[Mapping[str, Any]]) -> Found:
    """The rows without coordinates of the two subsets, where they are questions with given answers."""
    return {
        Item(line["subset"], line["item"], line["cluster"]): _said(line)
        for line in lines
        if line["subset"] in SUBSETS and not line.get("at") and line.get("choices") and line.get("gold") is not None
    }


def _said(line: Mapping[str, Any]) -> Said:
    choices, logprobs = line["choices"], line["logprobs"]
    best = max(logprobs)
    credit = 1 / logprobs.count(best)
    target = line.get("target")
    return Said(
        truth=choices[line["gold"]],
        target=None if target is None else choices[target],
        credits={name: credit * (value == best) for name, value in zip(choices, logprobs, strict=True)},
    )
