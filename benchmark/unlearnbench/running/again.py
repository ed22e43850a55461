"""A record's specification as objects of the code that is here, and a runner for them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from unlearnbench import registry
from unlearnbench.asking.task import Task
from unlearnbench.errors import UnlearnBenchError, UsageError
from unlearnbench.model.source import Located, locate
from unlearnbench.records.record import Record
from unlearnbench.running.knowledge import informed
from unlearnbench.running.plan import Cell, planned_again
from unlearnbench.running.runner import Runner
from unlearnbench.running.threads import using_threads
from unlearnbench.running.words import entry_of, parse_method
from unlearnbench.settings import path_names, word_of

NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Given:
    """Where things lie here that a record knows by their digests only."""

    model_args: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    method_args: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    facts_args: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    task_args: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    facts_file: str | None = None
    retain_text: str | None = None
    threads: int | None = None


@dataclass(frozen=True)
class Again:
    """A run that is to be done again."""

    located: Located
    cell: Cell
    changed: tuple[str, ...]
    """What of the specification is not what it was: code, facts or weights, by the name of the field."""
    runner: Runner

    def is_called(self, label: str) -> bool:
        """Whether the label, as a word, means this very method; what files say is in no label."""
        if any(part.files for part in self.cell.spec.method.everything()):
            return True
        try:
            said = parse_method(label).resolved(self.located.source)
        except UnlearnBenchError:
            return False
        return word_of(said) == word_of(self.cell.method)

    def running(self) -> AbstractContextManager[None]:
        """Within: torch's threads may be set, and are as before afterwards."""
        return using_threads()

    def task(self, name: str) -> Task:
        """A task of it, by its full name."""
        return next(one.task for one in self.cell.tasks if one.spec.name == name)


def again(record: Record, given: Given) -> Again:
    """A record's run, on the same kind of device.

    Raises `UsageError` where a model on disk, a user's own facts, a retain file, or a path of an entry is not given.
    """
    if given.threads is not None and given.threads < 1:
        raise UsageError(f"--threads must be 1 or more, not {given.threads}")
    located = _located(record, given.model_args, given.retain_text)
    if record.spec.facts.file_sha256 and not given.facts_file:
        raise UsageError("the record is about facts from a file", "give it again with --facts_file")
    _refuse_lost_paths(record, given)
    environment = record.sessions[0].environment
    device = str(environment.get("device", "cpu"))
    cell = planned_again(
        record,
        located.source,
        given.facts_file,
        given.method_args,
        given.facts_args,
        given.task_args,
        lambda facts: informed(facts, located, device),
    )
    changed = tuple(differing(record.spec.model_dump(mode="json"), cell.spec.model_dump(mode="json")))
    changed += tuple(_changed_tasks(record, cell))
    located = located.model_copy(update={"device_map": environment.get("device_map")})
    return Again(located, cell, changed, Runner(located, device, threads=given.threads))


def differing(recorded: Any, here: Any, name: str = "") -> list[str]:
    """The fields, by dotted name, in which two JSON documents differ."""
    if isinstance(recorded, dict) and isinstance(here, dict):
        keys = dict.fromkeys((*recorded, *here))
        return [one for k in keys for one in differing(recorded.get(k), here.get(k), f"{name}.{k}" if name else k)]
    return [] if recorded == here else [name]


def _refuse_lost_paths(record: Record, given: Given) -> None:
    """Records keep the last part of a path: where it lies here has to be said."""
    for part in record.spec.method.everything():
        for key in part.files:
            if key not in given.method_args:
                what = f"{part.name} of the record reads the file {part.settings[key]!r}"
                raise UsageError(what, f"give it again with --method_args {key}=FILE")
    facts = record.spec.facts
    sides = [(facts.label, facts.settings, registry.fact_sets[facts.name], "facts_args", given.facts_args)]
    for one in record.tasks:
        entry = registry.tasks[entry_of(one.spec.name)]
        sides.append((one.spec.name, one.spec.settings, entry, "task_args", given.task_args))
    for name, settings, entry, option, said in sides:
        for key in path_names(entry):
            if settings.get(key) is not None and key not in said:
                what = f"{name} of the record reads {settings[key]!r}"
                raise UsageError(what, f"give it again with --{option} {key}=PATH")


def _located(record: Record, arguments: Mapping[str, str], retain_text: str | None) -> Located:
    source = record.spec.model
    if source.kind == "organism":
        return locate(source.name, {}, retain_text or _shipped(source.retain_text, source.retain_sha256))
    said = {"dtype": source.dtype, "attention": source.attention}
    said |= {"chat_template": "yes"} if source.chat_template else {}
    given = {"pretrained": source.name, **said, **arguments}
    if not source.chat_template and "chat_template" not in arguments:
        given["chat_template"] = "no"
    if source.revision and "pretrained" not in arguments:
        given["revision"] = source.revision
    if not source.revision and "pretrained" not in arguments:
        raise UsageError(
            f"the record is about the folder {source.name!r}", "say where it is: --model_args pretrained=FOLDER"
        )
    return locate("hf", given, retain_text or _shipped(source.retain_text, source.retain_sha256))


def _shipped(text: str, digest: str | None) -> str:
    if digest:
        raise UsageError(f"the record is about the retain text of a file, {text!r}", "give it again with --retain_text")
    return text


def _changed_tasks(record: Record, cell: Cell) -> list[str]:
    found = []
    for one, now in zip(record.tasks, cell.tasks, strict=True):
        mine, theirs = one.spec.model_dump(mode="json"), now.spec.model_dump(mode="json")
        found += [f"{one.spec.name}: {field}" for field in differing(mine, theirs)]
    return found
