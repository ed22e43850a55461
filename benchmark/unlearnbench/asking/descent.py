"""Gradient descent on something that is added to a model, so that it says what the attacker knows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from unlearnbench.errors import Diverged
from unlearnbench.lazy import torch
from unlearnbench.model.reading import Pair, answer_loss

if TYPE_CHECKING:
    from unlearnbench.model.model import Model


def descend(
    model: Model,
    lessons: Sequence[Pair],
    vectors: torch.Tensor,
    context: Callable[[torch.Tensor], AbstractContextManager[None]],
    *,
    steps: int,
    rate: float,
    project: Callable[[torch.Tensor], None] = lambda _: None,
) -> torch.Tensor:
    """The vectors of the lowest cross-entropy of the answers, of all that Adam came by; no weight has a gradient.

    `context` adds them to the model, `project` brings them back to where they may be after each step. Raises `Diverged`
    where the loss is no number from the beginning.
    """
    vectors = vectors.detach().clone().requires_grad_()
    adam, best, least = torch.optim.Adam([vectors], lr=rate), vectors.detach().clone(), float("inf")
    with model.trainable(()):
        for step in range(steps + 1):
            with torch.set_grad_enabled(step < steps), context(vectors):
                loss = answer_loss(model, lessons)
            value = loss.item()
            if value < least:
                best, least = vectors.detach().clone(), value
            if step == steps or not value < float("inf"):
                break
            (vectors.grad,) = torch.autograd.grad(loss, [vectors])
            adam.step()
            with torch.no_grad():
                project(vectors)
    if least == float("inf"):
        raise Diverged("the attacker's loss is no number", [])
    return best
