"""Recovery while facts are taught back: `python examples/what_comes_back.py results/how-v2 --picture curves.png`.

Reads records that were asked `…/relearning`: one panel and one table for each model, one curve for each method (the
mean over seeds, with their range), and how many steps it takes until half of what the attack could find is found.
"""

import argparse
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from tabulate import tabulate
from which_component import half_interval

from unlearnbench.records import store
from unlearnbench.records.record import Record

HALF = 0.5


class Attacked(NamedTuple):
    """What relearning found of one edited model."""

    recovery: float
    """ρ at the worst step that leaves nine in ten of the facts to keep."""
    area: float
    """The mean of ρ over all steps."""
    curve: dict[int, float]
    """ρ after some steps."""


def attacked(record: Record) -> Attacked | None:
    """What a record says of relearning; None where it was not asked, or the edit is no result."""
    for task in record.tasks:
        if task.spec.name.endswith("/relearning"):
            single = {one.name: one.value for one in task.metrics if not one.at}
            curve = {int(one.at["step"]): one.value for one in task.metrics if one.name == "curve_recovery"}
            return Attacked(single["recovery"], single["recovery_area"], curve)
    return None


def steps_until(curve: Mapping[int, float], share: float = HALF) -> float:
    """When a curve first comes to this, between the steps that were looked at in proportion; infinity for never."""
    steps = sorted(curve)
    if curve[steps[0]] >= share:
        return float(steps[0])
    for before, after in pairwise(steps):
        if curve[after] >= share:
            way = (share - curve[before]) / (curve[after] - curve[before])
            return before + way * (after - before)
    return math.inf


def read(folders: Sequence[Path]) -> dict[str, dict[str, list[Attacked]]]:
    """By model and method, the runs of all seeds."""
    found: dict[str, dict[str, list[Attacked]]] = {}
    for folder in folders:
        for path in store.result_files(folder):
            record = store.load(path.parent)
            if (one := attacked(record)) is not None:
                found.setdefault(record.spec.model.name, {}).setdefault(record.spec.method.name, []).append(one)
    return found


def table(methods: Mapping[str, Sequence[Attacked]]) -> str:
    """A line for each method: ρ before, at the worst step and on average, and the steps until half is back."""
    lines = []
    for method, runs in sorted(methods.items(), key=lambda one: -fmean(run.recovery for run in one[1])):
        before, last = [run.curve[min(run.curve)] for run in runs], max(runs[0].curve)
        values = before, [run.recovery for run in runs], [run.area for run in runs]
        steps = sorted(steps_until(run.curve) for run in runs)
        middle, least, most = (_steps(one, last) for one in (steps[len(steps) // 2], steps[0], steps[-1]))
        lines.append([method, *map(_mean, values), f"{middle} ({least} to {most})"])
    head = ["method", "ρ before", "ρ, worst step", "area", "steps to ρ = .5 (of seeds)"]
    return tabulate(lines, head, tablefmt="github", disable_numparse=True)


def draw(found: Mapping[str, Mapping[str, Sequence[Attacked]]], path: Path) -> None:
    """One panel for each model."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5 * len(found), 4.6), layout="constrained")
    panels = figure.subplots(1, len(found), squeeze=False, sharey=True)[0]
    names = list(dict.fromkeys(name for methods in found.values() for name in methods))
    plain = {"none": "black", "oracle": "grey"}
    colours = colormaps["tab20"].colors  # type: ignore[attr-defined]
    colour = {name: plain.get(name, colours[number % 20]) for number, name in enumerate(names)}
    for panel, (model, methods) in zip(panels, found.items(), strict=True):
        for name, runs in methods.items():
            steps = sorted(set.intersection(*(set(run.curve) for run in runs)))
            columns = [[run.curve[step] for run in runs] for step in steps]
            panel.plot(steps, [fmean(column) for column in columns], color=colour[name], label=name, marker=".")
            panel.fill_between(steps, list(map(min, columns)), list(map(max, columns)), color=colour[name], alpha=0.08)
        panel.axhline(0, color="grey", linewidth=0.8)
        panel.set_xscale("symlog", linthresh=1)
        panel.set_xticks(steps, [str(step) for step in steps])
        panel.minorticks_off()
        panel.set_xlim(min(steps), 1.15 * max(steps))
        panel.set_title(model)
        panel.set_xlabel("steps of relearning T")
    panels[0].set_ylabel("recovery ρ of V")
    panels[-1].legend(fontsize="x-small", loc="center left", bbox_to_anchor=(1.01, 0.5))
    figure.savefig(path, dpi=150)


def main(folders: Sequence[Path], picture: Path | None = None) -> dict[str, dict[str, list[Attacked]]]:
    """Print one table for each model."""
    found = read(folders)
    for model, methods in found.items():
        print(f"\n{model}\n\n{table(methods)}")
    if picture is not None:
        draw(found, picture)
    return found


def _steps(steps: float, last: int) -> str:
    return f"{steps:.1f}" if math.isfinite(steps) else f"> {last}"


def _mean(values: Sequence[float]) -> str:
    error = f" ± {half_interval(values):.2f}" if len(values) > 1 else ""
    return f"{fmean(values):.2f}{error}".replace("-", "−")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, help="results folders")
    parser.add_argument("--picture", type=Path, help="a .png, .svg or .pdf")
    main(**vars(parser.parse_args()))
