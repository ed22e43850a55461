"""Gradients of the weights, and no corrupted prompt: the control that needs no mechanism."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from unlearnbench.editing.place import EditingPlace
from unlearnbench.facts import Fact, TrainingSplit
from unlearnbench.lazy import torch
from unlearnbench.locating.ranking import Ranking
from unlearnbench.model.model import Model
from unlearnbench.model.reading import answer_loss
from unlearnbench.registry import register


@register("gradient")
@dataclass(frozen=True, kw_only=True)
class Gradient(Ranking):
    """The components whose weights the forgotten facts pull at most, weight for weight."""

    statistic: Literal["magnitude", "fisher_ratio"] = "fisher_ratio"
    """`magnitude`: the mean size of the gradient of one weight; `fisher_ratio`: its mean square over facts to forget,
    divided by the same over facts to keep."""
    examples: Annotated[int, Field(ge=1)] = 64
    """Facts of each kind, at the most."""

    def scores(self, model: Model, split: TrainingSplit, place: EditingPlace) -> dict[str, float]:
        """A mean over weights, and not a sum, so that size is no advantage."""
        rng = random.Random(place.seed)
        forget = rng.sample(list(split.forget), min(self.examples, len(split.forget)))
        size, square = _moments(model, forget)
        if self.statistic == "magnitude":
            return size
        kept = rng.sample(list(split.maintain_train), min(self.examples, len(split.maintain_train)))
        _, other = _moments(model, kept)
        return {name: square[name] / (other[name] + 1e-12) for name in square}


def _moments(model: Model, facts: Sequence[Fact]) -> tuple[dict[str, float], dict[str, float]]:
    """Mean size and mean square of the gradient of one weight, by component, over facts one at a time."""
    size, square = dict.fromkeys(model.components, 0.0), dict.fromkeys(model.components, 0.0)
    with model.trainable([name for part in model.components.values() for name in part.parameters]) as parameters:
        names = list(parameters)
        for fact in facts:
            loss = answer_loss(model, [(fact.prompt, fact.answer)])
            gradients = dict(zip(names, torch.autograd.grad(loss, list(parameters.values())), strict=True))
            for name, part in model.components.items():
                mine = [gradients[parameter].float() for parameter in part.parameters]
                size[name] += sum(g.abs().sum().item() for g in mine) / part.size / len(facts)
                square[name] += sum(g.square().sum().item() for g in mine) / part.size / len(facts)
    return size, square
