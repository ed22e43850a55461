"""The edit of one run: localize, change the weights, and within the context let others look at the result."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from unlearnbench.editing.localization import Localization
from unlearnbench.editing.method import History, Method
from unlearnbench.errors import Diverged, UnlearnBenchError
from unlearnbench.facts import TrainingSplit
from unlearnbench.lazy import torch
from unlearnbench.records.record import RetainResult
from unlearnbench.running.change import change_by_component, finite
from unlearnbench.running.clock import Clock
from unlearnbench.running.damage import collapse, read
from unlearnbench.running.guard import Escaped, Fingerprint, fingerprint
from unlearnbench.seeds import derive_seed

if TYPE_CHECKING:
    from unlearnbench.editing.place import EditingPlace
    from unlearnbench.model.model import Model


class BrokenEntry(UnlearnBenchError):
    """An entry returned something that the interface does not allow."""


@dataclass(frozen=True)
class Edit:
    """What an edit did. The tensors it changed are undone when its context ends."""

    where: Localization
    history: History
    retain: RetainResult
    """How the model reads retain text that is never trained on."""
    state: Fingerprint
    """The edited model, as tasks must leave it."""
    change: Mapping[str, float | None]
    """‖Δθ‖ by component."""
    copies: Mapping[str, torch.Tensor]
    """The tensors of `where` as they were."""
    invalid: str | None
    """Why it is no result, or None."""


@contextmanager
def applied(
    model: Model,
    method: Method,
    split: TrainingSplit,
    place: EditingPlace,
    clean: Fingerprint,
    clock: Clock,
    nothing_kept: Callable[[], str | None],
) -> Iterator[Edit]:
    """Within: the model is edited. `clean` is what it was when it was loaded; `nothing_kept` says why an edited
    model that reads text well is no result all the same.

    Raises `UsageError` for facts or budgets that the model cannot serve, `Escaped` for a method that left a
    change while it localized or changed anything outside its localization, `BrokenEntry` for one that does
    not keep to the interface.
    """
    with clock.stage("localize"):
        where = method.localize(model, split, place)
    if not isinstance(where, Localization):
        raise BrokenEntry(f"localize() of {method.name} returned {where!r}", "return a Localization")
    _refuse_change(method, "localize()", fingerprint(model).change_from(clean))
    before = read(model, place.retain)
    with model.restored(where.tensors) as copies:
        with clock.stage("edit"):
            history, diverged = _edited(model, method, split, where, place)
        state = fingerprint(model)
        _refuse_escape(method, state.weights, clean.weights, where)
        _refuse_change(method, "edit()", state.change_from(clean, edited=True))
        after = read(model, place.retain)
        change = change_by_component(model, where, copies)
        broken = diverged or collapse(model, before.loss, after.loss) or _nothing(change, where) or nothing_kept()
        retain = RetainResult(
            loss_before=finite(before.loss), loss_after=finite(after.loss), kl=finite(before.kl(after))
        )
        yield Edit(where, history, retain, state, change, copies, broken)


def _edited(
    model: Model, method: Method, split: TrainingSplit, where: Localization, place: EditingPlace
) -> tuple[History, str | None]:
    """Stage after stage, where facts are forgotten in stages; the history then says in which."""
    history, stages = History(), split.in_stages()
    for number, stage in enumerate(stages):
        mine, there = {"stage": number + 1.0}, replace(place, seed=derive_seed(place.seed, f"stage {number + 1}"))
        if len(stages) == 1:
            mine, there = {}, place
        try:
            steps = method.edit(model, stage, where, there)
        except Diverged as error:
            return history + [{**mine, **step} for step in error.history], f"diverged: {error}"
        if not isinstance(steps, list):
            raise BrokenEntry(f"edit() of {method.name} returned {steps!r}", "return the list of its steps, or []")
        history += [{**mine, **step} for step in steps]
    return history, None


def _refuse_change(method: Method, where: str, change: str | None) -> None:
    if change:
        raise Escaped(
            f"the model is not what it was before {where} of {method.name}: {change}", "it must be undone there"
        )


def _refuse_escape(method: Method, edited: Mapping[str, str], base: Mapping[str, str], where: Localization) -> None:
    outside = [name for name in edited if name not in where.tensors and edited[name] != base[name]]
    if outside:
        raise Escaped(
            f"method {method.name} changed {outside[0]!r}, which is outside its localization"
            f" ({len(outside)} tensors in all)",
            "localize() must name every tensor that edit() changes",
        )


def _nothing(change: Mapping[str, float | None], where: Localization) -> str | None:
    # By value and not by bytes: a step of size zero turns −0 into 0.
    unchanged = bool(where.tensors) and all(norm == 0 for norm in change.values())
    return "changed nothing: every weight is what it was" if unchanged else None
