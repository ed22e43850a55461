"""From words to runs: which cells a command asks for, each complete with its identity."""

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unlearnbench import registry
from unlearnbench.asking.task import Task
from unlearnbench.editing.adversary import adversary
from unlearnbench.editing.method import Method
from unlearnbench.editing.objectives import objective
from unlearnbench.errors import UnknownName, UsageError
from unlearnbench.facts import FactSet
from unlearnbench.hashing import file_hash
from unlearnbench.model.source import ModelSource
from unlearnbench.records.spec import SEED_LIMIT, EvalSpec, FactsSpec, MethodSpec, RunSpec, TaskSpec
from unlearnbench.settings import configured, settings_of

WORD = re.compile(r"^(?P<name>[^\[\]]+)(?:\[(?P<settings>[^\[\]]*)\])?$")


@dataclass(frozen=True)
class Cell:
    """One run to be done: its identity, and the objects that do it."""

    spec: RunSpec
    method: Method
    facts: FactSet
    tasks: Mapping[str, Task]
    """By full name, such as `sports/forget`."""
    skipped: str | None
    """Why the method cannot be run here, or None."""
    method_label: str
    """The method's name and the settings in which it departs from its defaults: `name[objective=edit]`."""

    @property
    def label(self) -> str:
        """How progress and errors name it."""
        return f"{self.method_label} · {self.facts.label} · seed {self.spec.seed}"


def parse_settings(text: str, what: str) -> dict[str, str]:
    """`a=1,b=2` as a mapping; raises `UsageError` for a piece without `=`."""
    found = {}
    for piece in filter(None, (piece.strip() for piece in text.split(","))):
        key, equals, value = piece.partition("=")
        if not equals or not key:
            raise UsageError(f"{what}: {piece!r} is not of the form name=value")
        if key.strip() in found:
            raise UsageError(f"{what}: {key.strip()!r} is given twice")
        found[key.strip()] = value.strip()
    return found


def parse_method(word: str, shared: Mapping[str, Any]) -> Method:
    """`name` or `name[setting=value,…]`; `shared` settings apply where the word sets nothing else."""
    name, given = _split_word(word, "method")
    entry: type[Method] = registry.methods[name]
    if not entry.trains and given:
        raise UsageError(f"method {name!r} does not train and takes no settings", f"say {name}")
    method = configured(entry, {**shared, **given} if entry.trains else {}, f"method {name}")
    objective(method.objective)
    adversary(method.adversary)
    return method


def parse_facts(word: str, facts_file: str | None = None) -> FactSet:
    """`sports:athletes-64`; a bare name takes the fact set's first variant."""
    name, _, variant = word.partition(":")
    entry: type[FactSet] = registry.fact_sets[name]
    return entry(variant or entry.variants[0], facts_file)


def parse_tasks(words: Sequence[str], facts: Sequence[FactSet], source: ModelSource) -> list[dict[str, Task]]:
    """The tasks of each fact set, by full name. A fact set's bare name means all of its tasks.

    A word may set what its tasks can be set to: `sports/multiple_choice[layout=lines]`. Raises
    `UnknownName` for a word that fits none of the fact sets, `UsageError` for a fact set left without a task.
    """
    asked = [(name, settings) for name, settings in (_split_word(word, "task") for word in words)]
    found = [_tasks_of(fact_set, asked, source) for fact_set in facts]
    known = {name for f in facts for name in (f.name, *(f"{f.name}/{question}" for question in f.questions))}
    for name, _ in asked:
        if name not in known:
            raise UnknownName("task", name, known)
    for fact_set, tasks in zip(facts, found, strict=True):
        if not tasks:
            raise UsageError(f"none of the tasks is about {fact_set.label}", f"add {fact_set.name} to --tasks")
    return found


def _tasks_of(facts: FactSet, asked: Sequence[tuple[str, dict[str, str]]], source: ModelSource) -> dict[str, Task]:
    # In the fact set's order: the order of the words is not part of what a run is.
    found = {}
    for question in facts.questions:
        name = f"{facts.name}/{question}"
        settings = [given for word, given in asked if word in (facts.name, name)]
        if settings:
            merged = {key: value for given in settings for key, value in given.items()}
            entry: type[Task] = registry.questions[question]
            found[name] = configured(entry, merged, f"task {name}").resolved(source)
    return found


def _split_word(word: str, kind: str) -> tuple[str, dict[str, str]]:
    match = WORD.match(word.strip())
    if match is None:
        raise UsageError(f"{kind} {word!r} is not of the form name or name[setting=value,…]")
    return match["name"], parse_settings(match["settings"] or "", f"{kind} {word}")


def plan(
    *,
    methods: Sequence[Method],
    facts: Sequence[FactSet],
    tasks: Sequence[str],
    seeds: Sequence[int],
    source: ModelSource,
    batch_size: int,
) -> list[Cell]:
    """Every combination, in the order given; two words for the same run count once."""
    for seed in seeds:
        if not 0 <= seed < SEED_LIMIT:
            raise UsageError(f"seed {seed} is not between 0 and {SEED_LIMIT - 1}")
    cells: dict[str, Cell] = {}
    for fact_set, asked in zip(facts, parse_tasks(tasks, facts, source), strict=True):
        for seed in seeds:
            items = fact_set.split(seed).items_hash
            for method in methods:
                cell = _cell(method, fact_set, items, asked, source, seed, batch_size)
                cells.setdefault(cell.spec.hash, cell)
    return list(cells.values())


def _cell(
    method: Method,
    facts: FactSet,
    items: str,
    tasks: Mapping[str, Task],
    source: ModelSource,
    seed: int,
    batch_size: int,
) -> Cell:
    label, method = _label(method), method.resolved(source)
    spec = RunSpec(
        method=MethodSpec(
            name=method.name,
            version=method.version,
            source_sha256=source_hash(type(method)),
            inputs=method.inputs(facts, source),
            settings=settings_of(method) if method.trains else {},
        ),
        facts=FactsSpec(
            name=facts.name,
            variant=facts.variant,
            version=facts.version,
            source_sha256=source_hash(type(facts)),
            file_sha256=file_hash(Path(facts.facts_file)) if facts.facts_file else None,
            items_sha256=items,
        ),
        tasks=[
            TaskSpec(name=n, version=t.version, source_sha256=source_hash(type(t)), settings=settings_of(t))
            for n, t in tasks.items()
        ],
        model=source,
        eval=EvalSpec(batch_size=batch_size),
        seed=seed,
    )
    return Cell(spec, method, facts, tasks, method.skip(facts, source), label)


def source_hash(entry: type) -> str:
    """Digest of the file that a method, a task or a fact set is written in: another source is another run."""
    return file_hash(Path(inspect.getfile(entry)))


def _label(method: Method) -> str:
    defaults, given = settings_of(type(method)()), settings_of(method)
    departures = [f"{name}={value}" for name, value in given.items() if value != defaults[name]]
    return f"{method.name}[{','.join(departures)}]" if departures else method.name
