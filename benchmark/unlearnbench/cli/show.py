"""`unlearnbench show RECORD`: everything one run says."""

import argparse
import json
from pathlib import Path
from typing import Any

from unlearnbench.records import store
from unlearnbench.records.record import MetricResult


def add_to(verbs: Any) -> None:
    """Declare the verb and its options."""
    verb = verbs.add_parser("show", help="print one record: metrics, localization, cost")
    verb.add_argument("record", type=Path, help="a run's folder or its result.json")
    verb.add_argument("--format", choices=["text", "json"], default="text")
    verb.set_defaults(perform=perform)


def perform(chosen: argparse.Namespace) -> int:
    """Print it, after its hashes were checked."""
    one = store.load(chosen.record)
    if chosen.format == "json":
        print(json.dumps(one.model_dump(mode="json"), indent=1))
        return 0
    from tabulate import tabulate

    where, spec = one.localization, one.spec
    norm = "not finite" if where.change_inside is None else f"{where.change_inside:.4g}"
    share = "" if where.share_of_blocks is None else f", {where.share_of_blocks:.1%} of the blocks"
    written = ", ".join(where.components) or ("whole tensors" if where.tensors else "nowhere")
    print(f"{one.label} on {spec.facts.label}, {spec.model.name}, seed {spec.seed}")
    print(f"status       {one.status}{f' ({one.invalid_reason})' if one.invalid_reason else ''}")
    print(f"written in   {written}")
    print(f"             {where.parameters:,} weights{share}; ‖Δθ‖ {norm}")
    print(
        f"retain loss  {one.retain.loss_before} before, {one.retain.loss_after} after; KL(base‖edited) {one.retain.kl}"
    )
    for session in one.sessions:
        cost = session.resources
        spent = f"{sum(cost.stages_s.values()):.1f} s, {cost.flops_estimate:.3g} FLOPs, {cost.peak_rss_bytes >> 20} MiB"
        print(f"cost         {spent} ({session.created_at})")
    if any(one.unknown.values()):
        print(f"left out     {json.dumps(one.unknown)}: facts that the base does not know")
    for warning in one.warnings:
        print(f"warning      {warning}")
    for axis, part in spec.method.parts.items():
        told = "".join(f" · {inner.name} {json.dumps(inner.settings)}" for inner in [*part.everything()][1:])
        print(f"{axis:12} {part.name} {json.dumps(part.settings)}{told}")
    print(f"result hash  {one.identity.result_hash}\n")
    lines = [
        [t.spec.name, _called(m), m.value, m.stderr, m.chance, m.n, m.n_clusters, m.direction]
        for t in one.tasks
        for m in t.metrics
    ]
    headers = ["task", "metric (* primary)", "value", "stderr", "chance", "items", "subjects", "better"]
    print(tabulate(lines, headers, floatfmt=".4f", missingval="–"))
    return 0


def _called(metric: MetricResult) -> str:
    at = ", ".join(f"{axis} {value}" for axis, value in metric.at.items())
    return f"{metric.name}{'*' if metric.primary else ''}{f' at {at}' if at else ''}"
