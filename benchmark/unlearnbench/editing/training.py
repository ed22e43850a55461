"""The only optimizer loop: fine-tune the localized tensors on forget, maintain and retain losses."""

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import nn

from unlearnbench.editing.adversary import Adversary
from unlearnbench.editing.localization import Localization
from unlearnbench.editing.objectives import Objective, answer_loss, text_loss
from unlearnbench.editing.retain import RetainText
from unlearnbench.errors import Diverged, UsageError
from unlearnbench.facts import TrainingSplit
from unlearnbench.model.model import Model
from unlearnbench.seeds import derive_seed

Item = TypeVar("Item")
History = list[dict[str, float]]
"""One row per step: its losses and its learning rate."""


@dataclass(frozen=True)
class Course:
    """How long, how fast and with which weights; the same for every localization."""

    steps: int
    learning_rate: float
    batch_size: int
    """Facts in each of the forget and the maintain batch."""
    retain_batch: int
    forget_weight: float
    maintain_weight: float
    retain_weight: float

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
    objective: Objective,
    adversary: Adversary,
    retain: RetainText,
    course: Course,
    seed: int,
    progress: Callable[[int, int], None],
) -> History:
    """Minimize `forget_weight`·objective + maintain CE + retain-text CE over the localized tensors.

    AdamW (β .9, .999; no weight decay, which would pull on weights that have no gradient), gradients
    clipped at norm 1. Tensors in half precision are trained through float32 masters. Raises
    `Diverged` at the first loss that is not finite.
    """
    lacking = objective.lacking(split.forget)
    if lacking:
        raise UsageError(
            f"{len(lacking)} facts lack what the objective needs, such as an edit target: {lacking[0].id!r}",
            "use objective=unlearn, or complete the facts",
        )
    history: History = []
    forget_batches = _batches(split.forget, course.batch_size, derive_seed(seed, "forget"))
    maintain_batches = _batches(split.maintain_train, course.batch_size, derive_seed(seed, "maintain"))
    with model.trainable(where.tensors) as parameters:
        masters = {name: _master(p) for name, p in parameters.items()}
        optimizer = torch.optim.AdamW(masters.values(), lr=course.learning_rate, weight_decay=0.0)
        for step in range(course.steps):
            for group in optimizer.param_groups:
                group["lr"] = course.rate(step)
            forget, maintain = next(forget_batches), next(maintain_batches)
            losses = {}
            with adversary(model, forget):
                loss = objective.loss(model, forget)
                torch.autograd.backward(course.forget_weight * loss)
                losses["forget"] = loss.item()
            loss = answer_loss(model, [(fact.prompt, fact.answer) for fact in maintain])
            torch.autograd.backward(course.maintain_weight * loss)
            losses["maintain"] = loss.item()
            loss = text_loss(model, retain.batch(seed, step, course.retain_batch))
            torch.autograd.backward(course.retain_weight * loss)
            losses["retain"] = loss.item()
            bad = [name for name, value in losses.items() if not math.isfinite(value)]
            if bad:
                what = f"the {bad[0]} loss is not finite at step {step + 1} of {course.steps}"
                raise Diverged(what, history)
            history.append({"step": step + 1, **losses, "learning_rate": course.rate(step)})
            _descend(parameters, masters, optimizer)
            progress(step + 1, course.steps)
    return history


def _master(parameter: nn.Parameter) -> nn.Parameter:
    if parameter.dtype == torch.float32:
        return parameter
    return nn.Parameter(parameter.detach().float())


def _descend(
    parameters: dict[str, nn.Parameter], masters: dict[str, nn.Parameter], optimizer: torch.optim.Optimizer
) -> None:
    for name, parameter in parameters.items():
        if masters[name] is not parameter:
            masters[name].grad = None if parameter.grad is None else parameter.grad.float()
    torch.nn.utils.clip_grad_norm_(masters.values(), 1.0)
    optimizer.step()
    for name, parameter in parameters.items():
        if masters[name] is not parameter:
            with torch.no_grad():
                parameter.copy_(masters[name])
        parameter.grad = None


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
