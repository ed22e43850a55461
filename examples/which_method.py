"""Methods beside each other: `python examples/which_method.py --models tiny --tuned FILE --methods npo rmu`.

Each edits the model, and is asked: the facts to forget, in their own and in held-out wordings and as multiple choice;
facts to keep, among them other facts about the same subjects where a fact set has some (neighbours), and school facts.
Then half of the forgotten (T) are taught back to the whole model for 30 steps, and the other half (V) is asked. The
base, the oracle and the same attack on facts that nobody ever knew stand beside it. Means over seeds, with 95 %
intervals (Student's t over seeds).
"""

import argparse
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean

import torch
from tabulate import tabulate
from which_component import Row, Scene, asked, half_interval, references, scene

from unlearnbench.errors import Diverged
from unlearnbench.model.model import Model
from unlearnbench.model.scoring import Asked, known_share, score
from unlearnbench.running.tuned_file import read_tuned, tuned_words
from unlearnbench.running.words import parse_method
from unlearnbench.world.school import SUBJECTS
from unlearnbench.world.wordings import prompt_of
from unlearnbench.world.world import world

COLUMNS = {
    "forget": "forget accuracy",
    "target": "forget edit_accuracy",
    "other wordings": "paraphrase accuracy",
    "multiple choice": "multiple_choice accuracy",
    "V after T": "V after T",
    "maintain": "maintain",
    "neighbours": "neighbours",
    "school": "school",
    "seconds": "seconds",
    "TFLOP": "TFLOP",
}


def school(model: Model) -> float:
    """Share of school facts that are known, in the first wording that they were taught in."""
    lessons = world().lessons
    questions = []
    for lesson in lessons:
        subject = SUBJECTS[lesson.subject]
        others = tuple(value for value in subject.values if value != lesson.answer)
        questions.append(Asked(prompt_of(subject.wordings[0], lesson.name), (lesson.answer, *others)))
    return math.fsum(one.credit(0) for one in score(model, questions, 64)) / len(questions)


def seen(here: Scene) -> Row:
    """All figures of the model as it is now."""
    subjects = {fact.subject for fact in here.split.forget}
    near = [fact for fact in here.split.maintain_test if fact.subject in subjects]
    found = {**asked(here), "school": school(here.model)}
    return {**found, "neighbours": known_share(here.model, near)} if near else found


def rows(here: Scene, words: Sequence[str]) -> Iterator[tuple[str, Row]]:
    """The references, then each method."""
    model, source = here.model, here.located.source
    for what, there in references(here):
        yield what, {"V after T": asked(there)["V after T"]} if what == "never-known" else seen(there)
    for word in words:
        method, facts = parse_method(word).resolved(source), here.split.for_methods()
        began, tokens = time.perf_counter(), (model.tokens_forward, model.tokens_backward)
        where = method.localize(model, facts, here.place)
        with model.restored(where.tensors):
            try:
                method.edit(model, facts, where, here.place)
            except Diverged:
                continue
            seconds = time.perf_counter() - began
            forward, backward = model.tokens_forward - tokens[0], model.tokens_backward - tokens[1]
            flop = 2.0 * model.size(model.parameters) * (forward + 2 * backward)
            yield word, {**seen(here), "seconds": seconds, "TFLOP": flop / 1e12}


def main(
    models: Sequence[str], facts: str, seeds: Sequence[int], methods: Sequence[str], tuned: Path | None = None
) -> dict[str, dict[str, list[Row]]]:
    """Print one table per model."""
    torch.set_num_threads(1)
    words = tuned_words(methods, read_tuned(tuned), tuned.name) if tuned else list(methods)
    tables: dict[str, dict[str, list[Row]]] = {}
    for name in models:
        found = tables.setdefault(name, {})
        for seed in seeds:
            for what, row in rows(scene(name, facts, seed), words):
                found.setdefault(what, []).append(row)
                print(f"{name} seed {seed} {what}: {row['V after T']:.2f}", flush=True)
        lines = [[what, *(told(measured, key) for key in COLUMNS.values())] for what, measured in found.items()]
        print(f"\n{name}, {facts}, seeds {list(seeds)}\n")
        print(tabulate(lines, ["method", *COLUMNS], tablefmt="github", disable_numparse=True), flush=True)
    return tables


def told(measured: Sequence[Row], key: str) -> str:
    """A mean over seeds and half of its interval."""
    values = [row[key] for row in measured if key in row]
    if not values:
        return "–"
    if len(values) < 2:
        return f"{values[0]:.2f}"
    return f"{fmean(values):.2f} ± {half_interval(values):.2f}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["tiny"])
    parser.add_argument("--facts", default="sports:people-64")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--methods", nargs="+", default=["full_finetune", "npo"])
    parser.add_argument("--tuned", type=Path, help="a file of `unlearnbench tune`, from which their settings are taken")
    main(**vars(parser.parse_args()))
