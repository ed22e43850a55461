"""One run: localize, edit, ask every task, put the model back, and write the record."""

import gc
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from unlearnbench import record as records
from unlearnbench.aggregate import Estimate, mean_over_clusters, ratio_over_clusters
from unlearnbench.change import change_by_component, finite, localization_result
from unlearnbench.digest import weights_digest
from unlearnbench.editing import Editing, Escaped
from unlearnbench.errors import Diverged, MissingPrerequisite
from unlearnbench.loading import load
from unlearnbench.method import Workplace
from unlearnbench.model import Model
from unlearnbench.objectives import text_loss
from unlearnbench.plan import Cell
from unlearnbench.provenance import benchmark_version, environment, peak_memory, source_state
from unlearnbench.retain import RetainText, load_retain
from unlearnbench.saving import save_model
from unlearnbench.scoring import refuse_indistinguishable
from unlearnbench.seeds import derive_seed
from unlearnbench.source import Located
from unlearnbench.split import Split
from unlearnbench.task import EVERY, Examination, Metric, Row, Task, clusters_of

Progress = Callable[[str, int, int], None]
"""Told the stage, how much of it is done, and of how much."""


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
        self.source = located.source
        self._model: Model | None = None
        self._digests: dict[str, str] = {}
        self._checked: set[str] = set()
        self._retain: RetainText | None = None

    @property
    def model(self) -> Model:
        """The model, loaded when it is first needed.

        Raises `MissingPrerequisite` for a device that is not there or files that cannot be loaded.
        """
        if self._model is None:
            try:
                torch.empty(0, device=self._device)
                self._model = load(self._located, self._device)
            except (RuntimeError, AssertionError, OSError, ValueError) as error:
                what = f"{self.source.name} cannot be loaded on {self._device}: {str(error).splitlines()[0]}"
                raise MissingPrerequisite(what, "see --device") from error
            self._digests = self._model.tensor_digests()
        return self._model

    @property
    def retain(self) -> RetainText:
        """The retain stream of the model's source."""
        if self._retain is None:
            self._retain = load_retain(self.model, self._located.retain_text)
        return self._retain

    def release(self) -> None:
        """Let go of the model's memory; it is loaded anew when it is needed again."""
        self._model = self._retain = None
        gc.collect()  # what scored it may hold it in a circle
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def prepare(self) -> None:
        """Load the model and the retain text, so that what is missing is said once and before any run."""
        self.model.device  # noqa: B018
        self.retain  # noqa: B018

    def run(self, cell: Cell, progress: Progress, keep: Path | None = None) -> Outcome:
        """Do one cell, and keep the edited model in the folder `keep`, if there is one.

        Whatever happens, the next cell finds the model as it was.

        Raises `UsageError` for facts or budgets that the model cannot serve, and `Escaped` for a
        method or a task that changed what it had not declared.
        """
        self.model.network.eval()
        try:
            outcome = self._run(cell, progress, keep)
        except BaseException:
            self._forget_if_changed()  # of what a method changed outside its localization there is no copy
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

    def _run(self, cell: Cell, progress: Progress, keep: Path | None) -> Outcome:
        clock = _Clock()
        with clock.stage("load"):
            model, split = self.model, cell.facts.split(cell.spec.seed)
            self._check(split)
            for name, task in cell.tasks.items():
                task.refuse(name, split)
        if model.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(model.device)
        forward, backward = model.tokens_forward, model.tokens_backward
        before = self._retain_loss()
        results: list[records.MetricResult] = []
        rows: list[dict[str, Any]] = []
        with Editing(model, cell.method, cell.label, self._digests) as edit:
            diverged = None
            try:
                for number, facts in enumerate(split.stages_for_methods()):
                    place = self._workplace(cell, number, lambda done, of: progress("edit", done, of))
                    with clock.stage("localize"):
                        where = edit.localize(facts, place)
                    with clock.stage("edit"):
                        edit.edit(facts, where, place)
            except Diverged as error:
                diverged = f"diverged: {error}"
            where, edited = edit.where, edit.digests
            moved = change_by_component(model, where, edit.originals)
            after = self._retain_loss()
            broken = diverged or self._collapse(before, after)
            if broken is None:
                place_of = Examination(split, cell.spec.eval.batch_size, self.retain, edit.undone)
                for done, (name, task) in enumerate(cell.tasks.items()):
                    progress(name, done, len(cell.tasks))
                    with clock.stage(name), model.restored() if task.trains else nullcontext():
                        asked = task.rows(model, place_of)
                    results += _results(name, task, task.metrics(split), asked)
                    rows += [{"task": name, **asdict(row)} for row in asked]
            unchanged = cell.method.trains and edited == self._digests
            reason = broken or ("changed nothing: every weight is what it was" if unchanged else None)
            if keep is not None:
                save_model(model, keep, cell.spec, cell.facts)
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
                history=edit.history,
                facts=cell.facts.counts(),
                warnings=list(cell.facts.warnings()),
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

    def _workplace(self, cell: Cell, number: int, progress: Callable[[int, int], None]) -> Workplace:
        later = () if number == 0 else (str(number),)
        seed = derive_seed(cell.spec.seed, "method", *later)
        return Workplace(cell.facts, cell.spec.model, self.retain, seed, progress)

    def _check(self, split: Split) -> None:
        if split.items_hash not in self._checked:
            refuse_indistinguishable(self.model, [*split.forget, *split.maintain_train, *split.maintain_test])
            self._checked.add(split.items_hash)

    @torch.no_grad()
    def _retain_loss(self) -> float:
        texts = self.retain.test
        losses = [text_loss(self.model, texts[i : i + 8]).item() for i in range(0, len(texts), 8)]
        return math.fsum(losses) / len(losses)

    def _collapse(self, before: float, after: float) -> str | None:
        """Why the edited model is broken, or None."""
        guessing = math.log(self.model.network.get_output_embeddings().weight.shape[0])
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
            self.stages[name] = round(self.stages.get(name, 0.0) + time.monotonic() - began, 3)


def _results(name: str, task: Task, metrics: Sequence[Metric], rows: Sequence[Row]) -> list[records.MetricResult]:
    found = []
    for metric in metrics:
        mine = [r for r in rows if metric.part in (EVERY, r.part) and metric.value in r.values]
        if not mine:
            continue  # such as the edit's success, where the facts have no edit target
        estimate = _estimate(metric, clusters_of(mine))
        found.append(
            records.MetricResult(
                task=name,
                name=metric.name,
                axis=metric.axis,
                direction=metric.better,
                primary=metric.name == (task.primary or metrics[0].name),
                value=estimate.value,
                stderr=estimate.stderr,
                n=estimate.n,
                n_clusters=estimate.clusters,
                chance=metric.chance,
                part=metric.part,
                sample_field=metric.value,
                weight_field=metric.weight,
            )
        )
    return found


def _estimate(metric: Metric, clusters: Mapping[str, Sequence[Row]]) -> Estimate:
    key, weight = metric.value, metric.weight
    if weight is None:
        return mean_over_clusters({c: [row.values[key] for row in rows] for c, rows in clusters.items()})
    return ratio_over_clusters({c: [(r.values[key], r.values[weight]) for r in rows] for c, rows in clusters.items()})
