"""The only optimizer loop: minimize a sum of weighted losses over the localized tensors."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from unlearnbench.editing.adversary import Adversary, Defence, Strike
from unlearnbench.editing.goal import Goal
from unlearnbench.editing.localization import Localization
from unlearnbench.editing.masters import Masters
from unlearnbench.editing.objective import About, Batch, Term
from unlearnbench.errors import Diverged, UsageError
from unlearnbench.facts import TrainingSplit
from unlearnbench.lazy import torch
from unlearnbench.model.below import first_block, kept_below
from unlearnbench.seeds import derive_seed

if TYPE_CHECKING:
    from unlearnbench.editing.place import EditingPlace
    from unlearnbench.model.model import Model

Item = TypeVar("Item")
OWN = ("step", "gradient", "learning_rate", "reached", "known", "kept", "back_to", "attack_from", "attack_to")
"""What the history of a step says besides its losses."""


@dataclass(frozen=True)
class Course:
    """How long and how fast; the same for every localization."""

    steps: int
    learning_rate: float
    batch_size: int
    """Facts in each of the forget and the maintain batch."""
    retain_batch: int

    def rate(self, step: int) -> float:
        """Ten per cent of linear warm-up, then a cosine to zero."""
        warm = max(1, round(0.1 * self.steps))
        if step < warm:
            return self.learning_rate * (step + 1) / warm
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, self.steps - warm)))


def finetune(
    model: Model,
    split: TrainingSplit,
    where: Localization,
    *,
    terms: Sequence[Term],
    adversary: Adversary,
    course: Course,
    place: EditingPlace,
    goal: Goal | None = None,
) -> list[dict[str, float]]:
    """Minimize the weighted sum of the terms over the localized tensors, until the goal is met if there is one.

    Returns one row per step: its losses, the norm of the gradient before it is clipped, the learning rate, what the
    adversary says of its attack, and what was seen where the goal was looked at (`Goal.look`). Blocks below all that is
    trained or perturbed are run once for each text.

    AdamW (β .9, .999; no weight decay, which would pull on weights that have no gradient), gradients
    clipped at norm 1. Tensors in half precision are trained through float32 masters, which also sum the
    gradients. Raises `Diverged` at the first loss that is not finite.
    """
    _refuse_namesakes([term.name for term in terms])
    history: list[dict[str, float]] = []
    batches = _steps(split, course, place, adversary.held)
    begin = first_block(model, where.tensors)
    begin = min(begin, adversary.first_block(model)) if begin else 0
    with kept_below(model, begin), model.trainable(where.tensors) as parameters:
        masters = Masters(parameters)
        optimizer = torch.optim.AdamW(masters.parameters, lr=course.learning_rate, weight_decay=0.0)
        for batch in batches:
            rate = course.rate(batch.step)
            for group in optimizer.param_groups:
                group["lr"] = rate
            if batch.step % adversary.held == 0:
                strike = _struck(adversary, model, _defence(terms, batch, place.seed), history)
            losses = {}
            for term in terms:
                losses[term.name] = _backward(term, batch, strike if term.about in adversary.attacked else None)
                masters.collect()
            _refuse_bad({f"{name} loss": value for name, value in losses.items()}, batch.step, course.steps, history)
            norm = torch.nn.utils.clip_grad_norm_(masters.parameters, 1.0).item()
            _refuse_bad({"gradient": norm}, batch.step, course.steps, history)
            history.append({"step": batch.step + 1, **losses, **strike.told, "gradient": norm, "learning_rate": rate})
            optimizer.step()
            masters.clear()
            masters.write()
            place.progress(batch.step + 1, course.steps)
            if goal is not None and goal.over(batch.step + 1, course.steps, history[-1]):
                break
    return history


def _refuse_namesakes(names: Sequence[str]) -> None:
    twice = [name for name in names if names.count(name) > 1 or name in OWN]
    if twice:
        raise UsageError(
            f"two columns of the training history are called {twice[0]!r}", "give the objective's term another name"
        )


def _refuse_bad(values: Mapping[str, float], step: int, steps: int, history: list[dict[str, float]]) -> None:
    bad = [name for name, value in values.items() if not math.isfinite(value)]
    if bad:
        raise Diverged(f"the {bad[0]} is not finite at step {step + 1} of {steps}", history)


def _struck(adversary: Adversary, model: Model, defence: Defence, history: list[dict[str, float]]) -> Strike:
    try:
        return adversary.strike(model, defence)
    except Diverged as error:
        raise Diverged(f"{error} at step {defence.batch.step + 1}", history) from None


def _defence(terms: Sequence[Term], batch: Batch, seed: int) -> Defence:
    """What the adversary attacks at this step."""

    def sum_of(about: About) -> torch.Tensor:
        found = [term.weight * term.loss(batch) for term in terms if term.about == about]
        return torch.stack(found).sum() if found else torch.zeros(())

    losses: dict[About, Callable[[], torch.Tensor]] = {
        "forget": lambda: sum_of("forget"),
        "maintain": lambda: sum_of("maintain"),
    }
    return Defence(batch, losses, derive_seed(seed, "adversary", str(batch.step)))


def _backward(term: Term, batch: Batch, strike: Strike | None) -> float:
    """Add the gradient of one weighted term; one after another, so that only one graph is held."""
    with strike.on(term.about) if strike and term.about else nullcontext():
        loss = term.loss(batch)
        if loss.requires_grad:
            torch.autograd.backward(term.weight * loss)
        elif term.about == "forget":
            raise UsageError(
                f"nothing that is trained changes the {term.name} loss",
                "an objective that looks at a block learns nothing from training later ones: name a later block"
                " (layer=…), or train earlier ones",
            )
    return loss.item()


def _steps(split: TrainingSplit, course: Course, place: EditingPlace, held: int) -> Iterator[Batch]:
    """The batches of all steps; their facts stay for `held` steps, their texts do not."""
    forget = _batches(split.forget, course.batch_size, derive_seed(place.seed, "forget"))
    maintain = _batches(split.maintain_train, course.batch_size, derive_seed(place.seed, "maintain"))
    for step in range(course.steps):
        if step % held == 0:
            gone, kept = next(forget), next(maintain)
        yield Batch(step, gone, kept, place.retain.batch(place.seed, step, course.retain_batch))


def _batches(facts: Sequence[Item], count: int, seed: int) -> Iterator[list[Item]]:
    """Batches of `count` facts (all, if there are fewer) from an endless sequence of shuffled epochs."""
    count, waiting, epoch = min(count, len(facts)), list[Item](), 0
    while True:
        while len(waiting) < count:
            order = list(facts)
            random.Random(derive_seed(seed, str(epoch))).shuffle(order)
            waiting += order
            epoch += 1
        yield waiting[:count]
        del waiting[:count]
