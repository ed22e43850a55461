"""One run: edit, ask what has not been asked, put the model back, and keep the record."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path

from unlearnbench.asking.place import AskingPlace, BaseWeights
from unlearnbench.asking.prompts import ask_directly, chance
from unlearnbench.asking.scoring import refuse_indistinguishable
from unlearnbench.editing.place import EditingPlace
from unlearnbench.editing.retain import RetainText, load_retain
from unlearnbench.errors import MissingPrerequisite, UnlearnBenchError
from unlearnbench.lazy import torch
from unlearnbench.model.digest import weights_digest
from unlearnbench.model.loading import load
from unlearnbench.model.model import Model
from unlearnbench.model.source import Located
from unlearnbench.records import store
from unlearnbench.records.record import Record, TaskResult
from unlearnbench.running.ask import ask
from unlearnbench.running.edit import applied
from unlearnbench.running.guard import Escaped, Fingerprint, fingerprint
from unlearnbench.running.kept import keep, reapplied
from unlearnbench.running.plan import Ask, Cell
from unlearnbench.running.seal import Meter, extended, first_record
from unlearnbench.seeds import derive_seed

Progress = Callable[[str, int, int], None]
"""Told the stage, how much of it is done, and of how much."""


class NotReproduced(UnlearnBenchError):
    """An edit that was made again came out otherwise."""


class Runner:
    """A model held in memory, on which cells are run one after another."""

    def __init__(self, located: Located, device: str = "cpu", *, keep_edits: bool = False) -> None:
        self.located, self.device, self.keep_edits = located, device, keep_edits
        self._model: Model | None = None
        self._clean: Fingerprint | None = None
        self._warned: dict[str, list[str]] = {}
        self._retain: RetainText | None = None

    @property
    def model(self) -> Model:
        """The model, loaded when it is first needed."""
        if self._model is None:
            self._model = load(self.located, self.device)
            self._model.has_components  # noqa: B018 – looked at now, since looking takes a forward pass
            self._clean = fingerprint(self._model)
        return self._model

    @property
    def clean(self) -> Fingerprint:
        """The model as it was loaded."""
        self.model  # noqa: B018
        assert self._clean is not None
        return self._clean

    @property
    def retain(self) -> RetainText:
        """The retain stream of the model's source."""
        if self._retain is None:
            self._retain = load_retain(self.model, self.located.retain_text)
        return self._retain

    def prepare(self) -> None:
        """Load the model and the retain text, so that what is missing is said once and before any run.

        Raises `MissingPrerequisite` for a device that is not there or files that cannot be loaded.
        """
        try:
            torch.empty(0, device=self.device)
            self.model.device  # noqa: B018
        except (RuntimeError, AssertionError, OSError, ValueError) as error:
            name, reason = self.located.source.name, str(error).splitlines()[0]
            raise MissingPrerequisite(f"{name} cannot be loaded on {self.device}: {reason}", "see --device") from error
        self.retain  # noqa: B018

    def run(self, cell: Cell, folder: Path, progress: Progress) -> Record:
        """Do what is missing of one cell, and keep its record in `folder` after each task.

        Whatever happens, the next cell finds the model as it was. Raises `UsageError` for facts or budgets
        that the model cannot serve, `Escaped` for a method or a task that left a change behind, `NotReproduced`
        for an edit whose record is there and that cannot be made again.
        """
        self.model.network.eval()
        before = kept_record(folder)
        try:
            record = self._run(cell, before, folder, progress)
        except BaseException:
            self._change()
            raise
        left = self._change()
        if left:
            _put_back(before, folder)
            raise Escaped(f"the model is not what it was before this run: {left}", "a method or a task must undo it")
        return record

    def _change(self) -> str | None:
        """What differs from the model that was loaded; if anything does, it is loaded anew."""
        if self._model is None:
            return None
        change = fingerprint(self._model).change_from(self.clean)
        if change:
            self._model = None
        return change

    def _run(self, cell: Cell, known: Record | None, folder: Path, progress: Progress) -> Record:
        model = self.model
        meter = Meter(model, {"device": self.device, "device_map": self.located.device_map})
        with meter.clock.stage("load"):
            warnings = self._warnings(cell)
        seeds = {"run": cell.spec.seed, "method": derive_seed(cell.spec.seed, "method")}
        edit_progress: Callable[[int, int], None] = lambda done, of: progress("edit", done, of)  # noqa: E731
        place = EditingPlace(cell.facts.card, cell.spec.model, self.retain, seeds["method"], edit_progress)
        with reapplied(model, known, folder) as again:
            if known is not None and again is not None:
                return self._ask_all(cell, known, *again, folder, meter, progress)
        with applied(model, cell.method, cell.split.for_methods(), place, self.clean, meter.clock) as edit:
            edited = weights_digest(edit.digests)
            if known is not None and known.weights.edited_sha256 != edited:
                raise NotReproduced(
                    f"the edit came out as {edited[:19]}, and the record in {folder} says"
                    f" {known.weights.edited_sha256[:19]}",
                    "its tasks were left as they are; remove the folder to repeat the whole run",
                )
            if known is None:
                known = first_record(cell, model, edit, weights_digest(self.clean.weights), seeds, warnings, meter)
            if self.keep_edits and edit.where.tensors:
                keep(model, edit, folder)
            if edit.invalid is None:
                return self._ask_all(cell, known, edit.digests, edit.copies, folder, meter, progress)
            store.save(known, {}, folder)
            return known

    def _ask_all(
        self,
        cell: Cell,
        record: Record,
        digests: Mapping[str, str],
        copies: Mapping[str, torch.Tensor],
        folder: Path,
        meter: Meter,
        progress: Progress,
    ) -> Record:
        before, answers = record, list[TaskResult]()
        earlier = record.sessions if record.tasks else []
        missing = unasked(cell, record)
        within = fingerprint(self.model, digests)
        for done, one in enumerate(missing):
            progress(one.spec.name, done, len(missing))
            with meter.clock.stage(one.spec.name):
                place = self._asking_place(cell, one, copies, progress)
                answer = ask(self.model, cell.split, one.task, one.spec, cell.spec.hash, len(earlier), place)
            left = fingerprint(self.model).change_from(within)
            if left:
                raise Escaped(f"task {one.spec.name} left a change in the model: {left}", "a task must undo it")
            answers.append(answer.result)
            record = extended(before, answers, [*earlier, meter.session()])
            store.save(record, {answer.result.samples.path: answer.log}, folder)
        return record

    def _asking_place(
        self, cell: Cell, one: Ask, copies: Mapping[str, torch.Tensor], progress: Progress
    ) -> AskingPlace:
        name = one.spec.name
        untouched = {n: p for n, p in self.model.parameters.items() if n not in copies}
        if one.task.trains:  # it may change these too: what it reads must be of before
            untouched = {n: p.detach().clone() for n, p in untouched.items()}  # type: ignore[misc]
        return AskingPlace(
            batch_size=one.spec.batch_size,
            seed=derive_seed(cell.spec.seed, "task", name),
            retain=self.retain,
            base=BaseWeights((copies, untouched)),
            never_known=cell.split.never_known,
            progress=lambda done, of: progress(name, done, of),
        )

    def _warnings(self, cell: Cell) -> list[str]:
        """What should be known about the base before its numbers are believed; looked at once for each split.

        Raises `UsageError` for facts whose answers the tokenizer cannot tell apart.
        """
        split = cell.split
        if split.items_hash not in self._warned:
            refuse_indistinguishable(self.model, [*split.forget, *split.maintain_train, *split.maintain_test])
            rows = ask_directly(self.model, split.forget, "forget", 64)
            known, guess = math.fsum(row.values["accuracy"] for row in rows) / len(rows), chance(split.forget)
            hardly = f"the base hardly knows the facts to forget: base {known:.2f}, chance {guess:.2f}"
            self._warned[split.items_hash] = [hardly] if known < (1 + guess) / 2 else []
        return self._warned[split.items_hash]


def _put_back(record: Record | None, folder: Path) -> None:
    """The record of before a run that cannot be believed, or none."""
    if record is not None:
        store.save(record, {}, folder)
    else:
        (folder / store.RESULT).unlink(missing_ok=True)


def kept_record(folder: Path) -> Record | None:
    """The record that is there, or None."""
    return store.load(folder) if (folder / store.RESULT).exists() else None


def unasked(cell: Cell, record: Record | None) -> list[Ask]:
    """The tasks of a cell that its record does not answer; an invalid edit is asked nothing."""
    if record is None:
        return list(cell.tasks)
    return [] if record.status == "invalid" else [one for one in cell.tasks if record.task(one.spec.hash) is None]


def is_done(cell: Cell, record: Record | None) -> bool:
    """Whether there is nothing left to do of a cell."""
    return record is not None and not unasked(cell, record)
