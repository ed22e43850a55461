"""One run: localize, edit, ask every task, put the model back, and write the record."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from unlearnbench.asking.scoring import refuse_indistinguishable
from unlearnbench.asking.task import Metric, Row, Task, clusters_of
from unlearnbench.editing.localization import Localization
from unlearnbench.editing.method import Workplace
from unlearnbench.editing.objectives import text_loss
from unlearnbench.editing.retain import RetainText, load_retain
from unlearnbench.editing.training import History
from unlearnbench.errors import Diverged, MissingPrerequisite, UnlearnBenchError
from unlearnbench.facts import FactSet, Split
from unlearnbench.model.digest import weights_digest
from unlearnbench.model.loading import load
from unlearnbench.model.model import Model
from unlearnbench.model.source import Located
from unlearnbench.records import record as records
from unlearnbench.records.estimate import mean_over_clusters
from unlearnbench.records.provenance import benchmark_version, environment, peak_memory, source_state
from unlearnbench.running.change import change_by_component, finite, localization_result
from unlearnbench.running.plan import Cell
from unlearnbench.seeds import derive_seed

Progress = Callable[[str, int, int], None]
"""Told the stage, how much of it is done, and of how much."""


class Escaped(UnlearnBenchError):
    """A method wrote outside its own localization."""


@dataclass(frozen=True)
class Outcome:
    """A finished run, not yet written."""

    record: records.Record
    log: bytes

    def save(self, folder: Path) -> Path:
        """Commit it below a results folder, where its identity says."""
        return records.save(self.record, self.log, folder / self.record.spec.path)


class Runner:
    """A model held in memory, on which cells are run one after another."""

    def __init__(self, located: Located, device: str = "cpu") -> None:
        self._located, self._device = located, device
        self._model: Model | None = None
        self._digests: dict[str, str] = {}
        self._checked: set[str] = set()
        self._retain: RetainText | None = None

    @property
    def model(self) -> Model:
        """The model, loaded when it is first needed."""
        if self._model is None:
            self._model = load(self._located, self._device)
            self._digests = self._model.tensor_digests()
        return self._model

    @property
    def retain(self) -> RetainText:
        """The retain stream of the model's source."""
        if self._retain is None:
            self._retain = load_retain(self.model, self._located.retain_text)
        return self._retain

    def prepare(self) -> None:
        """Load the model and the retain text, so that what is missing is said once and before any run.

        Raises `MissingPrerequisite` for a device that is not there or files that cannot be loaded.
        """
        try:
            torch.empty(0, device=self._device)
            self.model.device  # noqa: B018
        except (RuntimeError, AssertionError, OSError, ValueError) as error:
            name, reason = self._located.source.name, str(error).splitlines()[0]
            raise MissingPrerequisite(f"{name} cannot be loaded on {self._device}: {reason}", "see --device") from error
        self.retain  # noqa: B018

    def run(self, cell: Cell, progress: Progress) -> Outcome:
        """Do one cell. Whatever happens, the next cell finds the model as it was.

        Raises `UsageError` for facts or budgets that the model cannot serve, and `Escaped` for a
        method or a task that changed what it had not declared.
        """
        self.model.network.eval()
        try:
            outcome = self._run(cell, progress)
        except BaseException:
            self._forget_if_changed()
            raise
        if self._forget_if_changed():
            raise Escaped(f"{cell.label}: the model is not what it was before; a method or a task left a change in it")
        return outcome

    def _forget_if_changed(self) -> bool:
        """Whether the weights differ from those that were loaded; they are then loaded anew."""
        changed = self._model is not None and self._model.tensor_digests() != self._digests
        if changed:
            self._model = None
        return changed

    def _run(self, cell: Cell, progress: Progress) -> Outcome:
        clock = _Clock()
        with clock.stage("load"):
            model, split = self.model, cell.facts.split(cell.spec.seed)
            place = self._workplace(cell, lambda done, of: progress("edit", done, of))
            self._check(cell.facts, split)
        if model.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(model.device)
        forward, backward = model.tokens_forward, model.tokens_backward
        with clock.stage("localize"):
            where = cell.method.localize(model, split.for_methods(), place)
        before = self._retain_loss()
        history: History = []
        results: list[records.MetricResult] = []
        rows: list[dict[str, Any]] = []
        with model.restored(where.tensors) as copies:
            diverged = None
            try:
                with clock.stage("edit"):
                    history = cell.method.edit(model, split.for_methods(), where, place)
            except Diverged as error:
                diverged, history = f"diverged: {error}", error.history
            edited = model.tensor_digests()
            self._refuse_escape(edited, where, cell)
            moved = change_by_component(model, where, copies)
            after = self._retain_loss()
            broken = diverged or self._collapse(before, after)
            if broken is None:
                for done, (name, task) in enumerate(cell.tasks.items()):
                    progress(name, done, len(cell.tasks))
                    with clock.stage(name), model.restored() if task.trains else nullcontext():
                        asked = task.rows(model, split, cell.spec.eval.batch_size)
                    results += _results(name, task, task.metrics(cell.facts), asked)
                    rows += [{"task": name, **asdict(row)} for row in asked]
            unchanged = cell.method.trains and edited == self._digests
            reason = broken or ("changed nothing: every weight is what it was" if unchanged else None)
        tokens = model.tokens_forward - forward + 2 * (model.tokens_backward - backward)
        log = records.item_log(rows)
        return Outcome(
            self._record(
                cell,
                status="completed" if reason is None else "invalid",
                invalid_reason=reason,
                metrics=results,
                retain_loss={"before": finite(before), "after": finite(after)},
                localization=localization_result(model, where, moved),
                weights=records.WeightsResult(
                    base_sha256=weights_digest(self._digests),
                    edited_sha256=weights_digest(edited),
                    parameters=model.size(model.parameters),
                ),
                history=history,
                samples=records.describe_samples(log),
                resources=records.Resources(
                    stages_s=clock.stages,
                    peak_rss_bytes=peak_memory(),
                    peak_vram_bytes=(
                        torch.cuda.max_memory_allocated(model.device) if model.device.type == "cuda" else None
                    ),
                    flops_estimate=2.0 * model.size(model.parameters) * tokens,
                ),
            ),
            log,
        )

    def _workplace(self, cell: Cell, progress: Callable[[int, int], None]) -> Workplace:
        seed = derive_seed(cell.spec.seed, "method")
        return Workplace(cell.facts, cell.spec.model, self.retain, seed, progress)

    def _check(self, facts: FactSet, split: Split) -> None:
        if split.items_hash not in self._checked:
            refuse_indistinguishable(self.model, [*split.forget, *split.maintain_train, *split.maintain_test])
            self._checked.add(split.items_hash)

    @torch.no_grad()
    def _retain_loss(self) -> float:
        texts = self.retain.test
        losses = [text_loss(self.model, texts[i : i + 8]).item() for i in range(0, len(texts), 8)]
        return math.fsum(losses) / len(losses)

    def _refuse_escape(self, edited: Mapping[str, str], where: Localization, cell: Cell) -> None:
        outside = [n for n in edited if n not in where.tensors and edited[n] != self._digests[n]]
        if outside:
            self._model = None  # nothing holds a copy of these tensors; the next cell loads them anew
            raise Escaped(
                f"{cell.label}: the method changed {outside[0]!r}, which is outside its localization"
                f" ({len(outside)} tensors in all)",
                "localize() must name every tensor that edit() changes",
            )

    def _collapse(self, before: float, after: float) -> str | None:
        """Why the edited model is broken, or None."""
        guessing = math.log(self.model.network.config.vocab_size)
        if not math.isfinite(after):
            return "collapsed: the loss on retain text is not finite"
        if before < guessing <= after:
            return f"collapsed: the loss on retain text is {after:.2f}, and a uniform guess has {guessing:.2f}"
        return None

    def _record(self, cell: Cell, **results: Any) -> records.Record:
        spec_hash = cell.spec.hash
        metrics = [metric.model_dump(mode="json") for metric in results["metrics"]]
        samples_hash = results["samples"].sha256_uncompressed
        identity = records.Identity(
            spec_hash=spec_hash,
            result_hash=records.result_hash(spec_hash, metrics, samples_hash),
            record_hash="",
        )
        draft = records.Record(
            created_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            benchmark_version=benchmark_version(),
            label=cell.method_label,
            spec=cell.spec,
            identity=identity,
            seeds={"run": cell.spec.seed, "method": derive_seed(cell.spec.seed, "method")},
            environment={**environment(), "device": self._device, "device_map": self._located.device_map},
            git=source_state(),
            **results,
        )
        sealed = records.record_hash(draft.model_dump(mode="json"))
        return draft.model_copy(update={"identity": identity.model_copy(update={"record_hash": sealed})})


class _Clock:
    """Wall time by stage."""

    def __init__(self) -> None:
        self.stages: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self.stages[name] = round(time.monotonic() - began, 3)


def _results(name: str, task: Task, metrics: Sequence[Metric], rows: Sequence[Row]) -> list[records.MetricResult]:
    found = []
    for metric in metrics:
        chosen = clusters_of(r for r in rows if r.part == metric.part and metric.value in r.values)
        if not chosen:
            continue  # such as the edit's success, where the facts have no edit target
        estimate = mean_over_clusters({c: [r.values[metric.value] for r in rs] for c, rs in chosen.items()})
        found.append(
            records.MetricResult(
                task=name,
                name=metric.name,
                axis=metric.axis,
                direction=metric.better,
                primary=metric.name == task.primary,
                value=estimate.value,
                stderr=estimate.stderr,
                n=estimate.n,
                n_clusters=estimate.clusters,
                chance=metric.chance,
                part=metric.part,
                sample_field=metric.value,
            )
        )
    return found
