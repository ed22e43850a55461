"""From words to runs: which cells a command asks for, each complete with its identity; and from records back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, cast, get_type_hints

from unlearnbench import registry
from unlearnbench.asking.task import Task
from unlearnbench.editing.method import Method
from unlearnbench.errors import UsageError
from unlearnbench.facts import Split
from unlearnbench.factset import FactSet
from unlearnbench.hashing import file_hash
from unlearnbench.model.source import ModelSource
from unlearnbench.records.record import Record
from unlearnbench.records.spec import SEED_LIMIT, EditSpec, EntrySpec, FactsSpec, MethodSpec, TaskSpec
from unlearnbench.registry import Catalogue, Entry
from unlearnbench.running.identity import source_digest
from unlearnbench.running.words import entry_of, parse_tasks
from unlearnbench.settings import configured, names_of, parts_of, paths_of, settings_of, word_of


class Ask(NamedTuple):
    """A task, and its identity."""

    spec: TaskSpec
    task: Task


@dataclass(frozen=True)
class Cell:
    """One run to be done: its identity, and the objects that do it."""

    spec: EditSpec
    method: Method
    facts: FactSet
    split: Split
    """Made once, for the edit and for all tasks; what the base does not know is left out when the model is there."""
    tasks: tuple[Ask, ...]
    skipped: str | None
    """Why the method cannot be run here, or None."""
    method_label: str
    """The method's name and the settings in which it departs from its defaults: `name[objective=edit]`."""

    @property
    def label(self) -> str:
        """How progress and errors name it."""
        return f"{self.method_label} · {self.facts.word} · seed {self.spec.seed}"


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
        refuse_seed(seed)
    cells: dict[str, Cell] = {}
    for fact_set, asked in zip(facts, parse_tasks(tasks, facts, source), strict=True):
        for seed in dict.fromkeys(seeds):
            split = fact_set.split(seed)
            asks = tuple(Ask(task_spec(n, t, t.items_hash(split), batch_size), t) for n, t in asked.items())
            described = facts_spec(fact_set, split)
            for method in methods:
                cell = _cell(method, fact_set, described, split, asks, source, seed)
                cells.setdefault(cell.spec.hash, cell)
    return list(cells.values())


def refuse_seed(seed: int) -> None:
    """Raise `UsageError` for a seed that no record can hold."""
    if not 0 <= seed < SEED_LIMIT:
        raise UsageError(f"seed {seed} is not between 0 and {SEED_LIMIT - 1}")


def planned_again(
    record: Record,
    source: ModelSource,
    facts_file: str | None = None,
    method_args: Mapping[str, str] = MappingProxyType({}),
    facts_args: Mapping[str, str] = MappingProxyType({}),
    task_args: Mapping[str, str] = MappingProxyType({}),
    known: Callable[[FactSet], FactSet] = lambda facts: facts,
) -> Cell:
    """The objects of a record's specification: the same run, to be done again with the code that is here.

    `known` limits facts to those that the model knows.

    Raises `UnknownName` where the method, a part, the facts or a task is not registered here.
    """
    spec = record.spec
    facts = cast(
        FactSet,
        _entry(registry.fact_sets, spec.facts, {"variant": spec.facts.variant, "facts_file": facts_file, **facts_args}),
    )
    method = cast(Method, _entry(registry.methods, spec.method, method_args))
    facts = known(facts)
    split = facts.split(spec.seed)
    asks = []
    for one in record.tasks:
        name = entry_of(one.spec.name)
        mine = {key: value for key, value in task_args.items() if key in names_of(registry.tasks[name])}
        task = cast(Task, _entry(registry.tasks, one.spec, mine, name))
        asks.append(Ask(task_spec(one.spec.name, task, task.items_hash(split), one.spec.batch_size), task))
    return _cell(method, facts, facts_spec(facts, split), split, tuple(asks), source, spec.seed)


def _cell(
    method: Method,
    facts: FactSet,
    described: FactsSpec,
    split: Split,
    asks: tuple[Ask, ...],
    source: ModelSource,
    seed: int,
) -> Cell:
    label, method = word_of(method), method.resolved(source)
    spec = edit_spec(method, facts, described, source, seed)
    return Cell(spec, method, facts, split, asks, method.skip(facts.card, source), label)


def edit_spec(method: Method, facts: FactSet, described: FactsSpec, source: ModelSource, seed: int) -> EditSpec:
    """What identifies an edit by a resolved method; `described` are the facts, by `facts_spec`."""
    inputs = method.inputs(facts.card, source)
    return EditSpec(method=MethodSpec(**_described(method), inputs=inputs), facts=described, model=source, seed=seed)


def facts_spec(facts: FactSet, split: Split) -> FactsSpec:
    """What identifies the facts that a method sees."""
    own = {key: value for key, value in settings_of(facts).items() if key not in ("variant", "facts_file")}
    return FactsSpec(
        name=facts.name,
        variant=facts.variant,
        version=facts.version,
        settings=own,
        file_sha256=facts.file_sha256,
        items_sha256=split.for_methods().items_hash,
    )


def task_spec(name: str, task: Task, items: str, batch_size: int) -> TaskSpec:
    """What identifies a task as it is asked."""
    return TaskSpec(**{**_described(task), "name": name}, items_sha256=items, batch_size=batch_size)


def _described(entry: Entry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "version": entry.version,
        "source_sha256": source_digest(type(entry)),
        "settings": settings_of(entry),
        "files": {name: file_hash(path) for name, path in paths_of(entry).items() if path.is_file()},
        "parts": {axis: EntrySpec(**_described(part)) for axis, part in parts_of(entry).items()},
    }


def _entry(
    catalogue: Catalogue, spec: EntrySpec | FactsSpec, more: Mapping[str, object], name: str | None = None
) -> Entry:
    name = name or spec.name
    kinds = get_type_hints(catalogue[name])
    inner = spec.parts if isinstance(spec, EntrySpec) else {}
    parts = {axis: _entry(kinds[axis].catalogue, part, {}) for axis, part in inner.items()}
    return cast(Entry, configured(catalogue[name], {**spec.settings, **parts, **more}, f"{catalogue.kind} {name}"))
