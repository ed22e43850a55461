"""Our questions as lm-eval documents: what `tasks/lm_eval/*.yaml` point to, and the file beside a saved model.

lm-eval knows no split, no seed and nothing of what a base knew. What a run asked is therefore written beside the model
that it saved; of any other model the questions are made from the fact set's defaults, or from `--metadata`.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from unlearnbench import registry
from unlearnbench.asking.task import Task
from unlearnbench.errors import UsageError
from unlearnbench.facts import Split
from unlearnbench.factset import FactSet
from unlearnbench.running.knowledge import told
from unlearnbench.settings import configured, names_of

if TYPE_CHECKING:
    from unlearnbench.running.plan import Cell

FILE = "unlearnbench_questions.json"
OWN = ("seed", "questions")
"""What `--metadata` may say besides the settings of the fact set and of the task."""


@dataclass(frozen=True)
class Handout:
    """What a run asked, beside the model that it saved."""

    facts: str
    """The fact set's name."""
    seed: int
    layout: str
    """Of multiple choice, as the model knows it."""
    told: tuple[str, ...]
    """Forget sets of the organisms' world that the base was told of."""
    split: Split
    """The facts that the base knew."""

    @classmethod
    def of(cls, cell: Cell, split: Split) -> Handout:
        """Of a cell, and the facts that its base knows."""
        source = cell.spec.model
        return cls(cell.facts.name, cell.spec.seed, source.layout, tuple(told(source)), split)

    def as_json(self) -> str:
        """The file's text."""
        return TypeAdapter(Handout).dump_json(self, indent=1).decode()

    @classmethod
    def read(cls, path: Path) -> Handout:
        """Raises `UsageError` for another file."""
        try:
            return TypeAdapter(cls).validate_json(path.read_bytes())
        except (OSError, ValueError, UsageError) as error:  # a validation error is a ValueError
            raise UsageError(f"{path} is not the {FILE} of a saved model: {str(error).splitlines()[0]}") from None


def load(*, facts: str, task: str, subset: str, **given: Any) -> Mapping[str, Any]:
    """The `test` split of one lm-eval task: what one task of ours asks of one subset.

    `given` is what lm-eval calls metadata: `--metadata`, and the arguments of the model. `questions` names the file
    beside a saved model; where `pretrained` is such a folder, it need not be said. `seed`, and the settings of
    fact set and task by their names, ask something else.
    Raises `UsageError` for a name that is nearly one of these, and for a task without given answers.
    """
    import datasets

    fact_entry: type[FactSet] = registry.fact_sets[facts]
    task_entry: type[Task] = registry.tasks[task]
    _refuse_misspelt(given, [*OWN, *names_of(fact_entry), *names_of(task_entry)], f"{facts}_{task}")
    handout = _handout(given)
    split = _split(fact_entry, handout, given)
    settings = {key: given[key] for key in names_of(task_entry) if key in given}
    if "layout" in names_of(task_entry):
        settings.setdefault("layout", "lines" if handout is None else handout.layout)
    questions = configured(task_entry, settings, f"task {facts}/{task}").questions(split)
    if not questions:
        raise UsageError(f"{facts}/{task} puts no questions with given answers; lm-eval cannot ask it")
    rows = [
        {"item": q.item, "prompt": q.asked.prompt, "choices": list(q.asked.choices), "gold": q.gold}
        for q in questions
        if q.subset == subset
    ]
    return {"test": datasets.Dataset.from_list(rows)}


def prompt(doc: Mapping[str, Any]) -> str:
    """`doc_to_text`: a function, since lm-eval would take a template that renders to digits for a number."""
    return str(doc["prompt"])


def choices(doc: Mapping[str, Any]) -> list[str]:
    """`doc_to_choice`."""
    return list(doc["choices"])


def gold(doc: Mapping[str, Any]) -> int:
    """`doc_to_target`."""
    return list(doc["choices"]).index(doc["gold"])


def _split(entry: type[FactSet], handout: Handout | None, given: Mapping[str, Any]) -> Split:
    """The facts of the run, unless others are asked for, or the run was about another fact set."""
    chosen = {key: given[key] for key in names_of(entry) if key in given}
    if handout is not None and handout.facts == entry.name and not chosen and "seed" not in given:
        return handout.split
    settings = {"variant": entry.variants[0], **chosen}
    fact_set = configured(entry, settings, f"facts {entry.name}")
    fact_set = fact_set.resolved(told=() if handout is None else handout.told)
    return fact_set.split(int(given.get("seed", 0)))


def _handout(given: Mapping[str, Any]) -> Handout | None:
    if "questions" in given:
        return Handout.read(Path(str(given["questions"])))
    beside = Path(str(given.get("pretrained", ""))) / FILE
    return Handout.read(beside) if "pretrained" in given and beside.is_file() else None


def _refuse_misspelt(given: Mapping[str, Any], known: list[str], what: str) -> None:
    """Model arguments are among what is given: only what is nearly a setting can be told to be wrong."""
    for key in set(given) - set(known):
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.8)
        if near:
            raise UsageError(f"--metadata: {key!r} is no setting of {what}", f"did you mean {near[0]!r}?")
