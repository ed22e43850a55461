"""Fair tuning: the same number of trials for every method, chosen by one rule, on T and maintain-dev alone."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from unlearnbench.asking.prompts import chance
from unlearnbench.editing.method import Method
from unlearnbench.editing.place import silent
from unlearnbench.editing.room import NoRoom
from unlearnbench.errors import Diverged, UsageError
from unlearnbench.lazy import torch
from unlearnbench.model.scoring import known_share, score_directly
from unlearnbench.records.spec import FactsSpec
from unlearnbench.running.damage import collapse, read
from unlearnbench.running.localizing import Search
from unlearnbench.running.loop import Watcher
from unlearnbench.running.plan import edit_spec, facts_spec
from unlearnbench.running.tuned_file import Trial, TunedFile, TunedMethod, best
from unlearnbench.running.words import parse_method, word_with
from unlearnbench.settings import changed, word_of

TRIALS = 9
"""Of every method."""


@dataclass(frozen=True)
class Planned:
    """A trial to be done."""

    method: Method
    """With the trial's settings, resolved for the model."""
    asked: Method
    """The same as it would be typed."""
    settings: dict[str, float]
    edit_hash: str


def planned(search: Search, words: Sequence[str]) -> dict[str, list[Planned]]:
    """The trials of each method, by its word. Raises `UsageError` as it does for one of them that cannot be tuned."""
    described = facts_spec(search.facts, search.split)
    return {word: _planned(search, word, described) for word in dict.fromkeys(words)}


def _planned(search: Search, word: str, described: FactsSpec) -> list[Planned]:
    """The trials of a method. Raises `UsageError` for one that nothing can be tuned of, or that cannot be run here."""
    method, source = parse_method(word), search.located.source
    axes = method.tuned_over
    if math.prod(map(len, axes.values())) != TRIALS:
        raise UsageError(
            f"method {word} has {math.prod(map(len, axes.values())) if axes else 'no'} settings to be tuned over, and"
            f" every method is given {TRIALS} trials",
            "name trainable methods; one of your own says what it is tuned over (Method.tuned_over)",
        )
    reason = method.skip(search.facts.card, source)
    if reason is not None:
        raise UsageError(f"method {word} cannot be tuned here: {reason}")
    units = {key: getattr(method, key) or source.learning_rate for key in axes}
    found = []
    for values in product(*axes.values()):
        settings = {key: value * units[key] for key, value in zip(axes, values, strict=True)}
        trial = method
        for key, value in settings.items():
            trial = changed(trial, key, value, f"method {word}")
        resolved = trial.resolved(source)
        spec = edit_spec(resolved, search.facts, described, source, search.seed)
        found.append(Planned(resolved, trial, settings, spec.hash))
    return found


def tune(
    search: Search, plans: Mapping[str, Sequence[Planned]], output: Path, before: TunedFile | None, watcher: Watcher
) -> TunedFile:
    """Do what trials are missing, one after another; the file is written after each of them."""
    kept_before, guess = _kept(search), chance(search.seen.relearn_train, search.base.split)
    found = TunedFile(
        model=search.located.source.name,
        weights_sha256=search.located.source.weights_sha256,
        facts=search.facts.label,
        seed=search.seed,
        kept_before=kept_before,
        guess=guess,
        methods=before.methods if before else (),
    )
    for word, trials in plans.items():
        for done in _trials(search, trials, found.found(word), watcher):
            found = _with(found, _judged(word, trials, done, found))
            found.write(output)
    return found


def left(plans: Mapping[str, Sequence[Planned]], before: TunedFile | None) -> int:
    """How many trials are missing."""
    there = {(m.method, t.edit_hash) for m in before.methods for t in m.trials} if before else set()
    return sum((word, one.edit_hash) not in there for word, trials in plans.items() for one in trials)


def _trials(
    search: Search, plans: Sequence[Planned], before: TunedMethod | None, watcher: Watcher
) -> Iterator[tuple[Trial, ...]]:
    """All trials that are there, after each that is done; once at least."""
    known = {one.edit_hash: one for one in before.trials} if before else {}
    done = {plan.edit_hash: known[plan.edit_hash] for plan in plans if plan.edit_hash in known}
    for number, plan in enumerate(plans):
        if plan.edit_hash not in done:
            watcher.start(f"{word_of(plan.asked)} ({number + 1} of {len(plans)})")
            done[plan.edit_hash] = trial = _tried(search, plan)
            watcher.finish(trial.invalid or f"known {trial.known:.2f}, kept {trial.kept:.2f}")
            yield tuple(done[one.edit_hash] for one in plans if one.edit_hash in done)
    yield tuple(done[one.edit_hash] for one in plans if one.edit_hash in done)


def _tried(search: Search, plan: Planned) -> Trial:
    model, seen, place = search.model, search.seen, search.place(silent)
    began = time.perf_counter()

    def failed(reason: str) -> Trial:
        seconds = round(time.perf_counter() - began, 3)
        return Trial(settings=plan.settings, edit_hash=plan.edit_hash, seconds=seconds, invalid=reason)

    try:
        where = plan.method.localize(model, seen, place)
    except UsageError as error:  # a method that cannot serve this model is no reason to try no other
        return failed(str(error))
    with model.restored(where.tensors):
        try:
            plan.method.edit(model, seen, where, place)
        except Diverged as error:
            return failed(f"diverged: {error}")
        except (UsageError, NoRoom, torch.OutOfMemoryError) as error:
            return failed(str(error))
        seconds = round(time.perf_counter() - began, 3)
        after = read(model, place.retain)
        found = score_directly(model, seen.relearn_train)
        return Trial(
            settings=plan.settings,
            edit_hash=plan.edit_hash,
            known=math.fsum(one.credit(0) for one in found) / len(found),
            p_true=math.fsum(math.exp(one.logprobs[0]) for one in found) / len(found),
            kept=_kept(search),
            retain_loss=after.loss if math.isfinite(after.loss) else None,
            seconds=seconds,
            invalid=collapse(model, search.retain_loss, after.loss),
        )


def _kept(search: Search) -> float:
    facts = search.seen.maintain_dev
    return known_share(search.model, facts) if facts else 1.0


def _judged(word: str, plans: Sequence[Planned], done: tuple[Trial, ...], found: TunedFile) -> TunedMethod:
    if len(done) < len(plans) or all(one.invalid for one in done):
        return TunedMethod(method=word, trials=done)
    number, within = best(done, found.kept_before, found.guess)
    chosen = word_with(word, {key: f"{value:g}" for key, value in plans[number].settings.items()})
    return TunedMethod(method=word, trials=done, chosen=chosen, within=within)


def _with(found: TunedFile, one: TunedMethod) -> TunedFile:
    there = [other for other in found.methods if other.method != one.method]
    return found.model_copy(update={"methods": (*there, one)})
