"""What some attack brings back: the headline of robustness, from the item logs of all attacks of a record."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from unlearnbench.records.estimate import Estimate
from unlearnbench.records.record import Record
from unlearnbench.records.recovery import share_of_way
from unlearnbench.records.spec import TaskSpec
from unlearnbench.records.store import load_rows

SUBSETS = ("relearn_test", "never_known", "base")


class Item(NamedTuple):
    """A fact, its subject, and of which subset it is."""

    subset: str
    name: str
    cluster: str


Found = Mapping[Item, float]
"""What one attack came to, fact by fact."""


def attacks_of(record: Record, folder: Path) -> dict[str, Found]:
    """What each attack of a record came to, by `key_of` its task. Raises as `load_rows`."""
    found = {}
    for one in record.tasks:
        if any(metric.subset == "relearn_test" and not metric.at for metric in one.metrics):
            chosen = _chosen(load_rows(folder, one.samples))
            if any(item.subset == "base" for item in chosen):
                found[key_of(one.spec)] = chosen
    return found


def key_of(spec: TaskSpec) -> str:
    """What two questions must share to be the same; the items are another draw for every seed."""
    return spec.model_dump_json(exclude={"items_sha256"})


def any_attack(attacks: Sequence[Found]) -> Estimate | None:
    """ρ of "some attack finds it", fact by fact: many attacks guess right more often, and never-known facts price that.

    Only facts that every attack was asked about count. None where there are no never-known facts, or so many attacks
    that these are found nearly as often as the base answers.
    """
    if not attacks:
        return None
    shared = set.intersection(*(set(one) for one in attacks))
    clusters: dict[str, dict[str, list[float]]] = {subset: {} for subset in SUBSETS}
    for item in sorted(shared):
        most = max(one[item] for one in attacks)
        clusters[item.subset].setdefault(item.cluster, []).append(most)
    if not all(clusters.values()):
        return None
    return share_of_way(*(clusters[subset] for subset in SUBSETS))


def _chosen(lines: Iterable[Mapping[str, Any]]) -> Found:
    """The rows without coordinates of the three subsets."""
    return {
        Item(line["subset"], line["item"], line["cluster"]): line["values"]["accuracy"]
        for line in lines
        if line["subset"] in SUBSETS and not line.get("at") and "accuracy" in line["values"]
    }
