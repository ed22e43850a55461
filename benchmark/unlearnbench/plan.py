"""From words to runs: which cells a command asks for, each complete with its identity."""

import inspect
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from unlearnbench import registry
from unlearnbench.adversary import adversary
from unlearnbench.errors import UnknownName, UsageError
from unlearnbench.factset import FactSet
from unlearnbench.hashing import file_hash
from unlearnbench.method import Method
from unlearnbench.objectives import objective
from unlearnbench.runspec import SEED_LIMIT, EvalSpec, FactsSpec, MethodSpec, RunSpec, TaskSpec
from unlearnbench.settings import configured, settings_of
from unlearnbench.source import ModelSource
from unlearnbench.task import Task
from unlearnbench.words import split_settings


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


def parse_method(word: str, shared: Mapping[str, Any]) -> Method:
    """`name` or `name[setting=value,…]`; `shared` settings apply where the word sets nothing else."""
    name, given = split_settings(word, "method")
    entry: type[Method] = registry.methods[name]
    if not entry.trains and given:
        raise UsageError(f"method {name!r} does not train and takes no settings", f"say {name}")
    method = configured(entry, {**shared, **given} if entry.trains else {}, f"method {name}")
    objective(method.objective)
    adversary(method.adversary)
    return method


def parse_facts(word: str, source: ModelSource, facts_file: str | None = None) -> FactSet:
    """`sports:athletes-64` or `counterfact:64[setting=value,…]`; a bare name takes the fact set's first variant."""
    words, given = split_settings(word, "facts")
    name, _, variant = words.partition(":")
    entry: type[FactSet] = registry.fact_sets[name]
    if "variant" in given:
        raise UsageError(f"facts {word!r}: the variant follows the colon", f"say {name}:{given['variant']}")
    file = {} if facts_file is None else {"facts_file": facts_file}
    settings = {"variant": variant or entry.variants[0], **file, **given}
    return configured(entry, settings, f"facts {name}").resolved(source)


def parse_tasks(
    words: Sequence[str], facts: Sequence[FactSet], source: ModelSource, shared: Mapping[str, Any] | None = None
) -> list[dict[str, Task]]:
    """The tasks of each fact set, by full name. A fact set's bare name means all of its tasks.

    `shared` settings apply to every side effect that has them.

    A word may set what its tasks can be set to: `sports/multiple_choice[layout=lines]`. Raises
    `UnknownName` for a word that fits none of the fact sets, `UsageError` for a fact set left without a task.
    """
    asked = [(name, settings) for name, settings in (split_settings(word, "task") for word in words)]
    found = [_tasks_of(fact_set, asked, source) for fact_set in facts]
    known = {name for f in facts for name in (f.name, *(f"{f.name}/{question}" for question in f.questions))}
    beside = _side_effects(
        [(name, settings) for name, settings in asked if name not in known], known, source, shared or {}
    )
    for fact_set, tasks in zip(facts, found, strict=True):
        if not tasks and not beside:
            raise UsageError(f"none of the tasks is about {fact_set.label}", f"add {fact_set.name} to --tasks")
        tasks.update(beside)
    return found


def _side_effects(
    asked: Sequence[tuple[str, dict[str, str]]],
    known: Collection[str],
    source: ModelSource,
    shared: Mapping[str, Any],
) -> dict[str, Task]:
    """The tasks that are about no fact set, by name and whatever their order: `mmlu`, `text`, `general/hellaswag`."""
    found, used = dict[str, Task](), set[str]()
    every: Mapping[str, type[Task]] = registry.questions
    entries = {name: entry for name, entry in every.items() if entry.beside}
    for name, settings in sorted(asked, key=lambda word: word[0]):
        family, slash, rest = name.partition("/")
        if family not in entries or bool(slash) != entries[family].many or (slash and not rest):
            shown = (f"{entry}/…" if entries[entry].many else entry for entry in entries)
            raise UnknownName("task", name, [*known, *shown])
        if name in found:
            raise UsageError(f"task {name!r} is asked twice")
        own = {"task": rest} if slash else {}
        common = {
            key: value for key, value in shared.items() if key in {field.name for field in fields(entries[family])}
        }
        used |= set(common)
        found[name] = configured(entries[family], {**common, **settings, **own}, f"task {name}").resolved(source)
    unused = sorted(set(shared) - used)
    if unused:
        raise UsageError(f"--{unused[0]} is for side effects, and none is asked that has it", "such as --tasks mmlu")
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


def plan(
    *,
    methods: Sequence[Method],
    facts: Sequence[FactSet],
    tasks: Sequence[str],
    task_settings: Mapping[str, Any] | None = None,
    seeds: Sequence[int],
    source: ModelSource,
    evaluation: EvalSpec,
) -> list[Cell]:
    """Every combination, in the order given; two words for the same run count once."""
    for seed in seeds:
        if not 0 <= seed < SEED_LIMIT:
            raise UsageError(f"seed {seed} is not between 0 and {SEED_LIMIT - 1}")
    cells: dict[str, Cell] = {}
    for fact_set, asked in zip(facts, parse_tasks(tasks, facts, source, task_settings), strict=True):
        for seed in seeds:
            items = fact_set.split(seed).items_hash
            for method in methods:
                cell = _cell(method, fact_set, items, asked, source, seed, evaluation)
                cells.setdefault(cell.spec.hash, cell)
    return list(cells.values())


def _cell(
    method: Method,
    facts: FactSet,
    items: str,
    tasks: Mapping[str, Task],
    source: ModelSource,
    seed: int,
    evaluation: EvalSpec,
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
            settings={k: v for k, v in settings_of(facts).items() if k not in ("variant", "facts_file")},
            inputs=facts.inputs(),
            items_sha256=items,
        ),
        tasks=[
            TaskSpec(
                name=n,
                version=t.version,
                source_sha256=source_hash(type(t)),
                inputs=t.inputs(),
                settings=settings_of(t),
            )
            for n, t in tasks.items()
        ],
        model=source,
        eval=evaluation,
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
