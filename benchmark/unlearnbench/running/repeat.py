"""Doing a recorded run again, and comparing: the same result hash, or the first item and metric that differ."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unlearnbench import registry
from unlearnbench.errors import UsageError
from unlearnbench.model.source import Located, locate
from unlearnbench.records import store
from unlearnbench.records.record import Record, TaskResult
from unlearnbench.running.knowledge import informed
from unlearnbench.running.plan import Cell, planned_again
from unlearnbench.running.runner import Progress, Runner
from unlearnbench.running.threads import using_threads
from unlearnbench.running.words import entry_of
from unlearnbench.settings import path_names


def silent(stage: str, done: int, of: int) -> None:
    """No progress shown."""


@dataclass(frozen=True)
class Repetition:
    """What came out the second time."""

    recorded: Record
    repeated: Record
    changed: tuple[str, ...]
    """What of the specification is not what it was: code, facts or weights, by the name of the field."""
    difference: str | None
    """The first difference in status, metrics or item logs; None where there is none."""

    @property
    def same(self) -> bool:
        """Whether the same came out."""
        return self.difference is None


def repeat(
    path: Path,
    *,
    model_args: Mapping[str, str] | None = None,
    method_args: Mapping[str, str] | None = None,
    facts_args: Mapping[str, str] | None = None,
    task_args: Mapping[str, str] | None = None,
    facts_file: str | None = None,
    retain_text: str | None = None,
    threads: int | None = None,
    progress: Progress = silent,
) -> Repetition:
    """Run a record again in a folder of its own, on the same device.

    A model on disk, a user's own facts and a retain file are known to a record by their digests only, and
    must be given again; so must paths that method, facts and tasks were given. Raises `UsageError` where something
    is not given; what is given and is not the same is named in `changed`.
    """
    if threads is not None and threads < 1:
        raise UsageError(f"--threads must be 1 or more, not {threads}")
    folder = path if path.is_dir() else path.parent
    record = store.load(folder)
    located = _located(record, model_args or {}, retain_text)
    if record.spec.facts.file_sha256 and not facts_file:
        raise UsageError("the record is about facts from a file", "give it again with --facts_file")
    _refuse_lost_paths(record, method_args or {}, facts_args or {}, task_args or {})
    environment = record.sessions[0].environment
    device = str(environment.get("device", "cpu"))
    cell = planned_again(
        record,
        located.source,
        facts_file,
        method_args or {},
        facts_args or {},
        task_args or {},
        lambda facts: informed(facts, located, device),
    )
    changed = tuple(_differing(record.spec.model_dump(mode="json"), cell.spec.model_dump(mode="json"), ""))
    changed += tuple(_changed_tasks(record, cell))
    located = located.model_copy(update={"device_map": environment.get("device_map")})
    runner = Runner(located, device, threads=threads)
    with tempfile.TemporaryDirectory() as scratch, using_threads():
        runner.prepare(cell.split)
        repeated = runner.run(cell, Path(scratch), progress)
        difference = _difference(record, folder, repeated, Path(scratch))
    return Repetition(record, repeated, changed, difference)


def _refuse_lost_paths(
    record: Record, method_args: Mapping[str, str], facts_args: Mapping[str, str], task_args: Mapping[str, str]
) -> None:
    """Records keep the last part of a path: where it lies here has to be said."""
    for part in record.spec.method.everything():
        for key in part.files:
            if key not in method_args:
                what = f"{part.name} of the record reads the file {part.settings[key]!r}"
                raise UsageError(what, f"give it again with --method_args {key}=FILE")
    facts = record.spec.facts
    sides = [(facts.label, facts.settings, registry.fact_sets[facts.name], "facts_args", facts_args)]
    for one in record.tasks:
        entry = registry.tasks[entry_of(one.spec.name)]
        sides.append((one.spec.name, one.spec.settings, entry, "task_args", task_args))
    for name, settings, entry, option, given in sides:
        for key in path_names(entry):
            if settings.get(key) is not None and key not in given:
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


def _differing(recorded: Any, here: Any, name: str) -> list[str]:
    """The fields, by dotted name, in which two JSON documents differ."""
    if isinstance(recorded, dict) and isinstance(here, dict):
        keys = dict.fromkeys((*recorded, *here))
        return [one for k in keys for one in _differing(recorded.get(k), here.get(k), f"{name}.{k}" if name else k)]
    return [] if recorded == here else [name]


def _changed_tasks(record: Record, cell: Cell) -> list[str]:
    found = []
    for one, again in zip(record.tasks, cell.tasks, strict=True):
        mine, theirs = one.spec.model_dump(mode="json"), again.spec.model_dump(mode="json")
        found += [f"{one.spec.name}: {field}" for field in _differing(mine, theirs, "")]
    return found


def _difference(record: Record, folder: Path, repeated: Record, scratch: Path) -> str | None:
    if (record.status, record.invalid_reason) != (repeated.status, repeated.invalid_reason):
        return (
            f"status: {record.invalid_reason or record.status} then, {repeated.invalid_reason or repeated.status} now"
        )
    if record.used_sha256 != repeated.used_sha256:
        return f"facts left out as unknown: {record.unknown} then, {repeated.unknown} now, or others"
    for mine, theirs in zip(record.tasks, repeated.tasks, strict=True):
        found = _task_difference(mine, folder, theirs, scratch)
        if found:
            return f"{mine.spec.name}: {found}"
    return None


def _task_difference(mine: TaskResult, folder: Path, theirs: TaskResult, scratch: Path) -> str | None:
    if mine.samples.sha256_uncompressed != theirs.samples.sha256_uncompressed:
        rows, again = store.load_rows(folder, mine.samples), store.load_rows(scratch, theirs.samples)
        for row, other in zip(rows, again, strict=False):
            fields = _differing(row, other, "")
            if fields:
                was, now = _at(row, fields[0]), _at(other, fields[0])
                return f"item {row['item']!r} ({row['subset']}): {fields[0]} was {was!r} and is {now!r}"
        return f"it had {len(rows)} items and has {len(again)}"
    for metric, now in zip(mine.metrics, theirs.metrics, strict=False):
        if metric != now:
            return f"metric {metric.name} was {metric.value!r} and is {now.value!r}"
    return None if len(mine.metrics) == len(theirs.metrics) else "it has other metrics"


def _at(document: Any, name: str) -> Any:
    for key in name.split("."):
        document = document.get(key) if isinstance(document, dict) else None
    return document
