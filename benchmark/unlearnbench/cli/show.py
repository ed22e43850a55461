"""`unlearnbench show RECORD`: everything one run says."""

import argparse
import json
from pathlib import Path
from typing import Any

from unlearnbench.records import record


def add_to(verbs: Any) -> None:
    """Declare the verb and its options."""
    verb = verbs.add_parser("show", help="print one record: metrics, localization, cost")
    verb.add_argument("record", type=Path, help="a run's folder or its result.json")
    verb.add_argument("--format", choices=["text", "json"], default="text")
    verb.set_defaults(perform=perform)


def perform(chosen: argparse.Namespace) -> int:
    """Print it, after its hashes were checked."""
    one = record.load(chosen.record)
    if chosen.format == "json":
        print(json.dumps(one.model_dump(mode="json"), indent=1))
        return 0
    from tabulate import tabulate

    where, cost, spec = one.localization, one.resources, one.spec
    norm = "not finite" if where.change_inside is None else f"{where.change_inside:.4g}"
    written = f"{where.parameters:,} weights, {where.share_of_blocks:.1%} of the blocks; ‖Δθ‖ {norm}"
    spent = f"{sum(cost.stages_s.values()):.1f} s, {cost.flops_estimate:.3g} FLOPs, {cost.peak_rss_bytes >> 20} MiB"
    print(f"{one.label} on {spec.facts.name}:{spec.facts.variant}, {spec.model.name}, seed {spec.seed}")
    print(f"status       {one.status}{f' ({one.invalid_reason})' if one.invalid_reason else ''}")
    print(f"written in   {', '.join(where.components) or 'nowhere'}")
    print(f"             {written}")
    print(f"retain loss  {one.retain_loss['before']} before, {one.retain_loss['after']} after")
    print(f"cost         {spent}")
    print(f"result hash  {one.identity.result_hash}\n")
    lines = [
        [m.task, m.name + ("*" if m.primary else ""), m.value, m.stderr, m.chance, m.n, m.n_clusters, m.direction]
        for m in one.metrics
    ]
    headers = ["task", "metric (* primary)", "value", "stderr", "chance", "items", "subjects", "better"]
    print(tabulate(lines, headers, floatfmt=".4f", missingval="–"))
    return 0
