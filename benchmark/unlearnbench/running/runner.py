"""One run: edit, ask what has not been asked, put the model back, and keep the record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from unlearnbench.asking.place import AskingPlace, BaseWeights
from unlearnbench.editing.place import EditingPlace
from unlearnbench.editing.retain import RetainText, load_retain
from unlearnbench.errors import MissingPrerequisite, TamperedRecord, UnlearnBenchError, UsageError
from unlearnbench.facts import Split
from unlearnbench.factset import FactSet
from unlearnbench.lazy import torch
from unlearnbench.model.digest import weights_digest
from unlearnbench.model.loading import load
from unlearnbench.model.model import Model
from unlearnbench.model.scoring import known_share
from unlearnbench.model.source import Located
from unlearnbench.records import store
from unlearnbench.records.record import Record, TaskResult
from unlearnbench.running.ask import ask, primary_of
from unlearnbench.running.base import Base, base_of
from unlearnbench.running.damage import nothing_kept
from unlearnbench.running.edit import applied
from unlearnbench.running.guard import Escaped, Fingerprint, fingerprint
from unlearnbench.running.kept import keep, reapplied
from unlearnbench.running.lm_eval_documents import Handout
from unlearnbench.running.plan import Ask, Cell
from unlearnbench.running.saved import is_saved, save_model
from unlearnbench.running.seal import Meter, extended, first_record
from unlearnbench.running.threads import threads_for
from unlearnbench.seeds import derive_seed

Progress = Callable[[str, int, int], None]
"""Told the stage, how much of it is done, and of how much."""


class NotReproduced(UnlearnBenchError):
    """An edit that was made again came out otherwise."""


@dataclass(frozen=True)
class Loaded:
    """A model in memory, and what it was when it was loaded."""

    model: Model
    clean: Fingerprint


@dataclass(frozen=True)
class Job:
    """One cell being done."""

    cell: Cell
    base: Base
    """What the base knows of the cell's facts: the split that is forgotten, kept and asked."""
    folder: Path
    """Where its record is kept."""
    progress: Progress
    meter: Meter


class Runner:
    """A model held in memory, on which cells are run one after another."""

    def __init__(
        self,
        located: Located,
        device: str = "cpu",
        *,
        threads: int | None = None,
        keep_edits: bool = False,
        save_models: bool = False,
    ) -> None:
        self.located, self.device, self.threads = located, device, threads
        self.keep_edits, self.save_models = keep_edits, save_models
        self._loaded: Loaded | None = None
        self._bases: dict[tuple[str, float], Base | UsageError] = {}
        self._retain: dict[str, RetainText] = {}

    def loaded(self) -> Loaded:
        """The model; loaded when it is first needed, and anew when a run has left a change in it."""
        if self._loaded is None:
            model = load(self.located, self.device)
            # Before the first answer is kept for comparison: another number of threads may round otherwise.
            torch.set_num_threads(threads_for(model.size(model.parameters), self.threads))
            model.has_components  # noqa: B018 – looked at now, since looking takes a forward pass
            self._loaded = Loaded(model, fingerprint(model))
        return self._loaded

    def retain(self, split: Split) -> RetainText:
        """The retain text in the model's tokens, without what the split forgets; read once for each split."""
        if split.items_hash not in self._retain:
            self._retain = {split.items_hash: load_retain(self.loaded().model, self.located.retain_text, split)}
        return self._retain[split.items_hash]

    def place(self, facts: FactSet, split: Split, seed: int, progress: Callable[[int, int], None]) -> EditingPlace:
        """Where a method works on these facts, at a run's seed."""
        source, before = self.located.source, self.located.before
        method_seed = derive_seed(seed, "method")
        return EditingPlace(facts.card, source, self.retain(split), method_seed, progress, before)

    def prepare(self, split: Split) -> None:
        """Load everything, so that what is missing is said once and before any run.

        Raises `MissingPrerequisite` for a device that is not there or files that cannot be loaded, and `UsageError`
        for retain text that is too short.
        """
        try:
            torch.empty(0, device=self.device)
            self.retain(split)
        except UnlearnBenchError:
            raise
        except Exception as error:  # libraries raise a dozen kinds for what they cannot load
            name, reason = self.located.source.name, (str(error).splitlines() or [type(error).__name__])[0]
            raise MissingPrerequisite(f"{name} cannot be loaded on {self.device}: {reason}", "see --device") from error

    def run(self, cell: Cell, folder: Path, progress: Progress) -> Record:
        """Do what is missing of one cell, and keep its record in `folder` after each task.

        Whatever happens, the next cell finds the model as it was. Raises `UsageError` for facts or budgets
        that the model cannot serve, `Escaped` for a method or a task that left a change behind, `NotReproduced`
        for an edit whose record is there and that cannot be made again.
        """
        model, before = self.loaded().model, kept_record(cell, folder)
        meter = Meter(model, {"device": self.device, "device_map": self.located.device_map})
        try:
            with meter.clock.stage("load"):
                base = self.base(cell)
                _refuse_others(before, base, folder)
                for one in cell.tasks:
                    primary_of(one.spec.name, one.task, one.task.metrics(base.split))  # wrong before hours of training
            record = self._edit_and_ask(Job(cell, base, folder, progress, meter), before)
        except BaseException:
            if self._forget_if_changed():
                _put_back(before, folder)
            raise
        left = self._forget_if_changed()
        if left:
            _put_back(before, folder)
            raise Escaped(f"the model is not what it was before this run: {left}", "a method or a task must undo it")
        return record

    def _forget_if_changed(self) -> str | None:
        """What differs from the model that was loaded; if anything does, it is loaded anew when it is next needed."""
        loaded, self._loaded = self._loaded, None  # forgotten, unless it is found to be what it was
        if loaded is None:
            return None
        change = fingerprint(loaded.model).change_from(loaded.clean)
        self._loaded = None if change else loaded
        return change

    def _edit_and_ask(self, job: Job, known: Record | None) -> Record:
        loaded, cell = self.loaded(), job.cell
        model, clean, split = loaded.model, loaded.clean, job.base.split
        with reapplied(model, known, job.folder) as again:
            if known is not None and again is not None:
                self._save(job)
                return self._ask(job, known, *again)
        place = self.place(cell.facts, cell.split, cell.spec.seed, lambda done, of: job.progress("edit", done, of))
        with applied(
            model, cell.method, split.for_methods(), place, clean, job.meter.clock, lambda: self.nothing_kept(job.base)
        ) as edit:
            if known is None:
                digest = weights_digest(clean.weights)
                seeds = {"run": cell.spec.seed, "method": place.seed}
                known = first_record(cell, model, edit, digest, seeds, job.base, job.meter)
            _refuse_another(known, weights_digest(edit.state.weights), job.folder)
            if self.keep_edits and edit.where.tensors:
                keep(model, edit, job.folder)
            if edit.invalid is None:
                self._save(job)
                return self._ask(job, known, edit.state, edit.copies)
            store.save(known, {}, job.folder)
            return known

    def _save(self, job: Job) -> None:
        """Write the edited model into the run's folder, if that is wanted."""
        if self.save_models and not is_saved(job.folder):
            with job.meter.clock.stage("save"):
                save_model(self.loaded().model, job.folder, Handout.of(job.cell, job.base.split))

    def _ask(self, job: Job, record: Record, state: Fingerprint, copies: Mapping[str, torch.Tensor]) -> Record:
        """Ask the tasks that the record does not answer; it is written after each, and each must leave `state`.

        What fails is no reason to ask no other; the first failure is raised when all have been asked.
        """
        model, before, answers, failed = self.loaded().model, record, list[TaskResult](), list[Exception]()
        earlier = record.sessions if record.tasks else []
        missing = unasked(job.cell, record)
        for done, one in enumerate(missing):
            job.progress(one.spec.name, done, len(missing))
            answer = None
            with job.meter.clock.stage(one.spec.name):
                place = self._asking_place(job, one, copies)
                try:
                    answer = ask(model, job.base.split, one.task, one.spec, job.cell.spec.hash, len(earlier), place)
                except Exception as error:
                    failed.append(error)
            left = fingerprint(model).change_from(state)
            if left:
                raise Escaped(f"task {one.spec.name} left a change in the model: {left}", "a task must undo it") from (
                    failed[-1] if answer is None else None
                )
            if answer is None:
                continue
            answers.append(answer.result)
            record = extended(before, answers, [*earlier, job.meter.session()])
            store.save(record, {answer.result.samples.path: answer.log}, job.folder)
        if failed:
            raise failed[0]
        return record

    def _asking_place(self, job: Job, one: Ask, copies: Mapping[str, torch.Tensor]) -> AskingPlace:
        name, loaded = one.spec.name, self.loaded()
        untouched = {n: p for n, p in loaded.model.parameters.items() if n not in copies}
        if one.task.trains:  # it may change these too: what it reads must be of before
            untouched = {n: p.detach().clone() for n, p in untouched.items()}  # type: ignore[misc]
        return AskingPlace(
            batch_size=one.spec.batch_size,
            seed=derive_seed(job.cell.spec.seed, "task", name),
            retain=self.retain(job.cell.split),
            base=BaseWeights((copies, untouched)),
            never_known=job.base.split.never_known,
            progress=lambda done, of: job.progress(name, done, of),
        )

    def base(self, cell: Cell) -> Base:
        """What the base knows of a cell's facts; looked at once. Raises as `base_of` does."""
        key = cell.split.items_hash, cell.facts.known
        if key not in self._bases:
            try:
                self._bases[key] = base_of(self.loaded().model, cell.split, cell.facts.known, cell.facts.label)
            except UsageError as error:  # as it will be for every method
                self._bases[key] = error
        found = self._bases[key]
        if isinstance(found, UsageError):
            raise found
        return found

    def nothing_kept(self, base: Base) -> str | None:
        """Why the model as it is now is no result; None where it keeps what it knew of facts that are not to go."""
        facts = base.split.maintain_test
        return nothing_kept(known_share(self.loaded().model, facts), base.kept, base.never_known, len(facts))


def _refuse_others(record: Record | None, base: Base, folder: Path) -> None:
    """Rounding may differ between devices, and a fact be known here that was left out there."""
    if record is not None and record.used_sha256 != base.split.items_hash:
        raise NotReproduced(
            f"other facts are known to the model here than in the record in {folder}: without {dict(base.unknown)},"
            f" and there without {record.unknown}",
            "its tasks were left as they are; remove the folder to repeat the whole run",
        )


def _refuse_another(record: Record, edited_sha256: str, folder: Path) -> None:
    if record.weights.edited_sha256 != edited_sha256:
        raise NotReproduced(
            f"the edit came out as {edited_sha256[:19]}, and the record in {folder} says"
            f" {record.weights.edited_sha256[:19]}",
            "its tasks were left as they are; remove the folder to repeat the whole run",
        )


def _put_back(record: Record | None, folder: Path) -> None:
    """The record of before a run that cannot be believed, or none."""
    if record is not None:
        store.save(record, {}, folder)
    else:
        (folder / store.RESULT).unlink(missing_ok=True)


def kept_record(cell: Cell, folder: Path) -> Record | None:
    """The cell's record, or None where there is none. Raises `TamperedRecord` for the record of another edit."""
    if not (folder / store.RESULT).exists():
        return None
    record = store.load(folder)
    if record.identity.edit_hash != cell.spec.hash:
        raise TamperedRecord(f"the record in {folder} is of another edit: {record.spec.path}", "remove the folder")
    return record


def unasked(cell: Cell, record: Record | None) -> list[Ask]:
    """The tasks of a cell that its record does not answer; an invalid edit is asked nothing."""
    if record is None:
        return list(cell.tasks)
    return [] if record.status == "invalid" else [one for one in cell.tasks if record.task(one.spec.hash) is None]


def is_done(cell: Cell, record: Record | None) -> bool:
    """Whether there is nothing left to do of a cell."""
    return record is not None and not unasked(cell, record)
