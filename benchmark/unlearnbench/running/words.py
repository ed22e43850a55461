"""What the words of a command name: methods, facts and tasks, each with its settings."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from unlearnbench import registry
from unlearnbench.asking.task import BATTERIES, Battery, Task
from unlearnbench.editing.method import Method
from unlearnbench.errors import UnknownName, UsageError
from unlearnbench.factset import FactSet
from unlearnbench.model.source import ModelSource
from unlearnbench.settings import changed, configured, made, names_of, parts_of, settable
from unlearnbench.words import read_word


def parse_methods(words: Sequence[str], shared: Mapping[str, Any]) -> list[Method]:
    """The methods of a command. `shared` settings apply to every method that has them and sets nothing else.

    Raises `UnknownName` for a shared setting that none of the methods has.
    """
    found = [parse_method(word, shared) for word in words]
    known = {name for method in found for name in settable(method)}
    for key in shared:
        if known and key not in known:  # methods that take no settings at all ignore shared ones
            raise UnknownName("setting in --method_args", key, known)
    return found


def parse_method(word: str, shared: Mapping[str, Any] = MappingProxyType({})) -> Method:
    """`name` or `name[setting=value,…]`, where a setting may be a part: `objective=npo[beta=0.1]`."""
    name, given = read_word(word, "method")
    entry: type[Method] = registry.methods[name]
    if given and not names_of(entry):
        raise UsageError(f"method {name!r} takes no settings", f"say {name}")
    method = made(Method, word)
    nested = {key for value in given.values() if "[" in value for key in read_word(value, "part").settings}
    for key, value in shared.items():
        if key not in given and key not in nested and key in settable(method):
            lost = [one for one in given if key in parts_of(method) and one not in names_of(method)]
            for setting in lost:
                if setting in names_of(parts_of(method)[key]):
                    what = f"method {word} sets {setting} of its {key}, which {value} is to take the place of"
                    raise UsageError(what, f"leave {setting} out, or set it for all with --method_args")
            method = changed(method, key, value, f"method {name}")
    return method


def word_with(word: str, settings: Mapping[str, str]) -> str:
    """The word with these settings as well, which come before those that it has of these names."""
    name, given = read_word(word, "method")
    return f"{name}[{','.join(f'{key}={value}' for key, value in {**given, **settings}.items())}]"


def parse_facts(word: str, facts_file: str | None = None) -> FactSet:
    """`sports:people-64` or `sports:people-64[known=0.8]`; a bare name takes the fact set's first variant."""
    label, given = read_word(word, "facts")
    name, _, variant = label.partition(":")
    for key in ("variant", "facts_file"):
        if key in given:
            raise UsageError(f"facts {word!r}: {key} is no setting", "say facts:variant and --facts_file FILE")
    entry: type[FactSet] = registry.fact_sets[name]
    chosen = {"variant": variant or entry.variants[0], "facts_file": facts_file}
    return configured(entry, {**chosen, **given}, f"facts {name}")


def parse_tasks(words: Sequence[str], facts: Sequence[FactSet], source: ModelSource) -> list[dict[str, Task]]:
    """The tasks of each fact set, by full name. A fact set's bare name means the default battery of tasks.

    A word may set what its tasks can be set to: `sports/multiple_choice[layout=lines]`. Raises
    `UnknownName` for a word that fits none of the fact sets, `UsageError` for a task that cannot be asked of
    the facts it names, and for a fact set left without a task.
    """
    asked = [read_word(word, "task") for word in words]
    beside = beside_facts()
    about = [*BATTERIES, *(task for task in registry.tasks if task not in beside)]
    known = {*beside, *(name for f in facts for name in (f.name, *(f"{f.name}/{task}" for task in about)))}
    for name, _ in asked:
        if name not in known and not _is_one_of_many(name):
            raise UnknownName("task", name, known)
    found = [_tasks_of(fact_set, asked, source) for fact_set in facts]
    for fact_set, tasks in zip(facts, found, strict=True):
        if not tasks:
            raise UsageError(f"none of the tasks is about {fact_set.label}", f"add {fact_set.name} to --tasks")
    return found


def tasks_for(facts: FactSet, source: ModelSource) -> dict[str, type[Task]]:
    """Every task that can be asked of these facts, by full name, in the order of tables."""
    entries: list[tuple[str, type[Task]]] = sorted(registry.tasks.items(), key=lambda one: (one[1].order, one[0]))  # type: ignore[attr-defined]
    for name in set(BATTERIES) & set(registry.tasks):
        raise UsageError(f"a task cannot be called {name}, as a battery is", "give it another name")
    able = [(name, entry) for name, entry in entries if entry.about_facts]
    return {f"{facts.name}/{name}": entry for name, entry in able if entry().skip(facts.card, source) is None}


def entry_of(name: str) -> str:
    """The registered name of a task, by its full one: `forget` of `sports/forget`, `general` of `general/hellaswag`."""
    return name.partition("/")[0] if _is_one_of_many(name) else name.rpartition("/")[2]


def side_effects(words: Sequence[str]) -> list[str]:
    """The tasks that `--side_effects` names: ours that are about no facts, and lm-eval's by their own names."""
    ours = beside_facts()
    named = ((word, read_word(word, "side effect").name) for word in words)
    return [word if name in ours or _is_one_of_many(name) else f"general/{word}" for word, name in named]


def _is_one_of_many(name: str) -> bool:
    head, _, own = name.partition("/")
    ours = beside_facts()
    return bool(own) and head in ours and bool(ours[head].one_of)


def beside_facts() -> dict[str, type[Task]]:
    """The tasks that are about no facts, by name."""
    entries: dict[str, type[Task]] = dict(registry.tasks.items())
    return {name: entry for name, entry in entries.items() if not entry.about_facts}


def _battery(word: str, facts: FactSet) -> tuple[Battery, ...]:
    """The batteries that a word means: those of tasks that belong to it."""
    name, _, battery = word.partition("/")
    if name != facts.name or (battery and battery not in BATTERIES):
        return ()
    return BATTERIES[: BATTERIES.index(battery or "default") + 1]  # type: ignore[arg-type]


def _tasks_of(facts: FactSet, asked: Sequence[tuple[str, Mapping[str, str]]], source: ModelSource) -> dict[str, Task]:
    able = tasks_for(facts, source)
    for name, _ in asked:
        if name.startswith(f"{facts.name}/") and name not in able and name.partition("/")[2] not in BATTERIES:
            reason = registry.tasks[name.partition("/")[2]]().skip(facts.card, source)
            raise UsageError(f"{name} cannot be asked: {reason}", f"there is: {', '.join(able)}")
    ours = beside_facts()
    many = {name: ours[entry_of(name)] for name, _ in asked if _is_one_of_many(name)}
    found = {}
    for name, entry in {**able, **ours, **many}.items():
        grouped = entry.about_facts
        settings = [g for word, g in asked if word == name or (grouped and entry.battery in _battery(word, facts))]
        if settings:
            merged: dict[str, str] = {entry.one_of: name.partition("/")[2]} if name in many else {}
            for key, value in (pair for given in settings for pair in given.items()):
                if merged.setdefault(key, value) != value:
                    what = f"{name} is asked with {key}={merged[key]} and with {key}={value}"
                    raise UsageError(what, "ask for one of them, and then for the other")
            found[name] = configured(entry, merged, f"task {name}").resolved(source)
    return found
