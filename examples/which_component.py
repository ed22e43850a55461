"""Edit each component alone, then attack: `python examples/which_component.py --models tiny --seeds 0 1 2`.

With `--localizers fact_lookup early_mlps …` what these choose is edited instead, and `--against early_mlps` adds how
each differs from that, seed by seed, with a 95 % interval (Student's t over seeds).

Facts are rewritten by training one component, until nine in ten of T say their target or the steps are over (see
`unlearnbench.editing.goal`), and asked again in other wordings and as multiple choice.
Then half of them (T) are taught back to the whole model for 30 steps, and the other half (V) is
asked: what comes back without being taught was only hidden. The base, the oracle and the same attack on facts
that nobody ever knew stand beside it.
"""

import argparse
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev

import torch
from scipy.stats import t as student
from tabulate import tabulate

from unlearnbench.asking.place import AskingPlace, BaseWeights
from unlearnbench.asking.task import Task
from unlearnbench.editing.localization import Localization
from unlearnbench.editing.objective import truths
from unlearnbench.editing.place import EditingPlace
from unlearnbench.editing.relearning import Relearning
from unlearnbench.editing.retain import load_retain
from unlearnbench.facts import Split
from unlearnbench.model.loading import load
from unlearnbench.model.model import Model
from unlearnbench.model.scoring import known_share
from unlearnbench.model.source import Located, locate
from unlearnbench.running.base import base_of
from unlearnbench.running.words import parse_facts, parse_method, parse_tasks

ATTACK = Relearning(steps=30, learning_rate=1e-3)
Row = dict[str, float]


@dataclass(frozen=True)
class Scene:
    """One model, one seed."""

    located: Located
    model: Model
    split: Split
    place: EditingPlace
    asking: AskingPlace
    tasks: Mapping[str, Task]


def scene(name: str, facts_label: str, seed: int) -> Scene:
    """Load a model and cut the facts."""
    located = locate(name, {}, None)
    model, facts = load(located), parse_facts(facts_label)
    split = base_of(model, facts.split(seed), facts.known, facts.label).split
    retain = load_retain(model, "world", split)
    place = EditingPlace(facts.card, located.source, retain, seed, before=located.before)
    asking = AskingPlace(batch_size=64, seed=seed, retain=retain, base=BaseWeights(()))
    tasks = parse_tasks([f"{facts.name}/questions"], [facts], located.source)[0]
    return Scene(located, model, split, place, asking, {n.partition("/")[2]: task for n, task in tasks.items()})


def asked(here: Scene) -> Row:
    """The figures of the model as it is now."""
    model, split, found = here.model, here.split, Row()
    for task, values in (
        ("forget", ("edit_accuracy", "accuracy", "true_beats_others")),
        ("paraphrase", ("edit_accuracy", "accuracy")),
        ("multiple_choice", ("edit_accuracy", "accuracy")),
    ):
        rows = [row for row in here.tasks[task].rows(model, split, here.asking) if row.subset == "forget"]
        for value in values:
            found[f"{task} {value}"] = fmean(row.values[value] for row in rows)
    found["maintain"] = known_share(model, split.maintain_test)
    with model.restored():
        ATTACK.teach(model, truths(split.relearn_train), here.place.retain, here.place.seed)
        found["V after T"] = known_share(model, split.relearn_test)
    return found


def references(here: Scene) -> Iterator[tuple[str, Scene]]:
    """What every edit is read against: the base, the oracle where there is one, and facts that nobody ever knew."""
    model = here.model
    yield "base", here
    oracle = parse_method("oracle")
    if oracle.skip(here.place.facts, here.located.source) is None:
        with model.restored():
            oracle.edit(model, here.split.for_methods(), Localization.everywhere(model), here.place)
            yield "oracle", here
    half = len(here.split.never_known) // 2
    order = [*here.split.never_known]
    unknown = replace(here.split, relearn_train=order[::2][:half], relearn_test=order[1::2], never_known=())
    yield "never-known", replace(here, split=unknown)


def rows(here: Scene, steps: int, until: float, localizers: Mapping[str, str]) -> Iterator[tuple[str, Row]]:
    """The references, then an edit where each of these localizers points, by the name in the table."""
    model = here.model
    for name, there in references(here):
        yield name, asked(there)
    for name, localizer in localizers.items():
        word = f"full_finetune[localizer={localizer},steps={steps},until={until}]"
        method = parse_method(word).resolved(here.located.source)
        seen = here.split.for_methods()
        where = method.localize(model, seen, here.place)
        with model.restored(where.tensors):
            history = method.edit(model, seen, where, here.place)
            yield name, {"steps": len(history), "reached": history[-1]["reached"], **asked(here)}


def main(
    models: Sequence[str],
    facts: str,
    seeds: Sequence[int],
    steps: int,
    until: float = 0.9,
    places: Sequence[str] | None = None,
    localizers: Sequence[str] | None = None,
    against: str | None = None,
) -> dict[str, dict[str, list[Row]]]:
    """Print one table per model: means over seeds, and the standard error of what comes back."""
    torch.set_num_threads(1)
    tables: dict[str, dict[str, list[Row]]] = {}
    for name in models:
        found = tables.setdefault(name, {})
        for seed in seeds:
            here = scene(name, facts, seed)
            edits = {place: f"named[components={place}]" for place in places or here.model.places}
            edits |= {} if places else {word: word for word in ("all_mlps", "everything")}
            edits = {word: word for word in localizers} if localizers else edits
            if against is not None and against not in edits:
                raise SystemExit(f"--against {against}: it is not edited; there is {', '.join(edits)}")
            for what, row in rows(here, steps, until, edits):
                found.setdefault(what, []).append(row)
                print(f"{name} seed {seed} {what}: V after T {row['V after T']:.2f}", flush=True)
        columns = list(next(reversed(found.values()))[0])
        lines = [[what, *(_mean(measured, column) for column in columns)] for what, measured in found.items()]
        print(f"\n{name}, {facts}, seeds {list(seeds)}, at most {steps} steps, until {until}\n")
        print(tabulate(lines, ["edited", *columns], tablefmt="github", disable_numparse=True), flush=True)
        if against:
            others = {what: measured for what, measured in found.items() if what != against}
            lines = [
                [what, *(difference(measured, found[against], column) for column in columns)]
                for what, measured in others.items()
            ]
            print(f"\n{name}: difference from {against}, with 95 % intervals\n")
            print(tabulate(lines, ["edited", *columns], tablefmt="github", disable_numparse=True), flush=True)
    return tables


def difference(mine: Sequence[Row], theirs: Sequence[Row], column: str) -> str:
    """The mean of the differences of each seed, and its interval."""
    pairs = [(a[column], b[column]) for a, b in zip(mine, theirs, strict=True) if column in a and column in b]
    if not pairs:
        return "–"
    values = [a - b for a, b in pairs]
    if len(values) < 2:
        return f"{values[0]:+.2f}"
    half = half_interval(values)
    return f"{fmean(values):+.2f} [{fmean(values) - half:+.2f}, {fmean(values) + half:+.2f}]"


def half_interval(values: Sequence[float]) -> float:
    """Half of the 95 % interval of their mean (Student's t)."""
    return float(student.ppf(0.975, len(values) - 1)) * stdev(values) / math.sqrt(len(values))


def _mean(measured: Sequence[Row], column: str) -> str:
    values = [row[column] for row in measured if column in row]
    if not values:
        return "–"
    if len(values) < 2:
        return f"{values[0]:.2f}"
    mean = fmean(values)
    return f"{mean:.2f} ± {stdev(values) / math.sqrt(len(values)):.2f}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["tiny"])
    parser.add_argument("--facts", default="sports:people-64")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=80, help="at most")
    parser.add_argument("--until", type=float, default=0.9, help="share of T that is to say its target")
    parser.add_argument("--places", nargs="+", help="mlp.2, mlp.2+mlp.3 …; every component, if none is given")
    parser.add_argument("--localizers", nargs="+", help="fact_lookup, early_mlps …, instead of single components")
    parser.add_argument("--against", help="one of them, from which the differences of all others are shown")
    main(**vars(parser.parse_args()))
