"""From what happened to the record of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from unlearnbench.editing.method import History
from unlearnbench.lazy import torch
from unlearnbench.model.digest import weights_digest
from unlearnbench.records.provenance import benchmark_version, environment, peak_memory, source_state
from unlearnbench.records.record import Identity, Record, Resources, Session, TaskResult, WeightsResult, sealed
from unlearnbench.running.base import Base
from unlearnbench.running.change import localization_result
from unlearnbench.running.clock import Clock
from unlearnbench.running.edit import Edit
from unlearnbench.running.plan import Cell

if TYPE_CHECKING:
    from unlearnbench.model.model import Model


MOST_STEPS_KEPT = 2000


class Meter:
    """What a session costs: started before it, read as often as a record is written."""

    def __init__(self, model: Model, settings: dict[str, Any]) -> None:
        self.clock = Clock()
        self._model = model
        self._forward, self._backward = model.tokens_forward, model.tokens_backward
        self._created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._environment, self._git = {**environment(), **settings}, source_state()
        self._cuda = model.device.type == "cuda"
        if self._cuda:
            torch.cuda.reset_peak_memory_stats(model.device)

    def session(self) -> Session:
        """The session so far."""
        model = self._model
        tokens = model.tokens_forward - self._forward + 2 * (model.tokens_backward - self._backward)
        return Session(
            created_at=self._created,
            benchmark_version=benchmark_version(),
            resources=Resources(
                stages_s=dict(self.clock.stages),
                peak_rss_bytes=peak_memory(),
                peak_vram_bytes=torch.cuda.max_memory_allocated(model.device) if self._cuda else None,
                flops_estimate=2.0 * model.size(model.parameters) * tokens,
            ),
            environment=self._environment,
            git=self._git,
        )


def first_record(
    cell: Cell,
    model: Model,
    edit: Edit,
    base_sha256: str,
    seeds: dict[str, int],
    base: Base,
    meter: Meter,
) -> Record:
    """The record of an edit that was asked nothing yet."""
    return sealed(
        Record(
            status="completed" if edit.invalid is None else "invalid",
            invalid_reason=edit.invalid,
            label=cell.method_label,
            spec=cell.spec,
            identity=Identity(edit_hash="", result_hash="", record_hash=""),
            tasks=[],
            retain=edit.retain,
            localization=localization_result(model, edit.where, edit.change),
            weights=WeightsResult(
                base_sha256=base_sha256,
                edited_sha256=weights_digest(edit.state.weights),
                parameters=model.size(model.parameters),
            ),
            history=thinned(edit.history),
            seeds=seeds,
            sessions=[meter.session()],
            unknown=dict(base.unknown),
            used_sha256=base.split.items_hash,
            warnings=[*cell.facts.warnings, *base.warnings],
        )
    )


def thinned(history: History, most: int = MOST_STEPS_KEPT) -> History:
    """At most so many steps, evenly spaced, the first and the last among them: a record must stay small."""
    if len(history) <= most:
        return history
    return [history[round(i * (len(history) - 1) / (most - 1))] for i in range(most)]


def extended(record: Record, answers: Sequence[TaskResult], sessions: Sequence[Session]) -> Record:
    """The record with more answers; those that are there stay as they are."""
    return sealed(record.model_copy(update={"tasks": [*record.tasks, *answers], "sessions": list(sessions)}))
