"""Attribution patching: rank components by a linear estimate of their causal effect.

Swapping one component's output for the output it has on a prompt about somebody else changes the
logit difference m (true answer minus the mean of the distractors) by about
`(corrupted − clean) · ∂m/∂output` (Nanda, 2023). Two forward passes and one backward pass rank every
component at once. Effects are summed over positions, made absolute *per example*, then averaged: a
signed sum over examples cancels.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from unlearnbench.editing.contrast import about_another, logit_difference
from unlearnbench.editing.localization import Localization
from unlearnbench.editing.localizer import Localizer, Share
from unlearnbench.editing.place import EditingPlace
from unlearnbench.facts import Fact, TrainingSplit
from unlearnbench.lazy import torch
from unlearnbench.model.hooks import tap
from unlearnbench.model.model import Model
from unlearnbench.model.reading import encode, last_logits
from unlearnbench.registry import register


@register("attribution_patching")
@dataclass(frozen=True, kw_only=True)
class AttributionPatching(Localizer):
    """The components that matter most for the answers, by a first-order estimate."""

    budget: Share = 0.2
    """Share of the weights in the blocks that may be trained."""
    among: Literal["mlp", "attention", "all"] = "mlp"
    """Kind of components that are ranked. Within one kind, a localization can be compared with a random one."""
    examples: Annotated[int, Field(ge=1)] = 64
    """Facts to forget that the effects are averaged over, at the most."""

    def localize(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Localization:
        rng = random.Random(place.seed)
        facts = list(split.forget)
        facts = rng.sample(facts, min(self.examples, len(facts)))
        others = [*split.maintain_train, *split.forget]
        corrupted = [about_another(model, fact, others, rng) for fact in facts]
        effects = attribution_effects(model, facts, corrupted)
        scores = {name: effect.abs().mean().item() for name, effect in effects.items()}
        able = {name: score for name, score in scores.items() if self.among in (name.partition(".")[0], "all")}
        return Localization.top(model, able, self.budget)


def attribution_effects(model: Model, facts: Sequence[Fact], corrupted: Sequence[list[int]]) -> dict[str, torch.Tensor]:
    """First-order effect [facts] on m of replacing each component's output by its corrupted one.

    `corrupted` are token ids, each as long as its fact's prompt.
    """
    clean = [encode(model, fact.prompt, fact.answer)[0] for fact in facts]
    with torch.no_grad(), tap(model) as seen:
        last_logits(model, corrupted)
        before = dict(seen)
    with tap(model) as outputs:
        metric = logit_difference(model, facts, last_logits(model, clean))
        gradients = torch.autograd.grad(metric.sum(), list(outputs.values()))
    return {
        name: ((before[name] - output.detach()) * gradient).float().sum((1, 2))
        for (name, output), gradient in zip(outputs.items(), gradients, strict=True)
    }
