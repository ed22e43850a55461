"""Attribution patching: rank components by a linear estimate of their causal effect.

Swapping one component's output for the output it has on a prompt about somebody else changes the
logit difference m (true answer minus the mean of the distractors) by about
`(corrupted − clean) · ∂m/∂output` (Nanda, 2023). Two forward passes and one backward pass rank every
component at once. Effects are summed over positions, made absolute *per example*, then averaged: a
signed sum over examples cancels.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from unlearnbench.editing.localization import Localization
from unlearnbench.editing.method import Method, Share, Workplace
from unlearnbench.errors import UsageError
from unlearnbench.facts import Fact, TrainingSplit
from unlearnbench.model.model import Model
from unlearnbench.registry import register


@register("attribution_patching")
@dataclass(frozen=True, kw_only=True)
class AttributionPatching(Method):
    """Fine-tune only the components that matter most for the answers."""

    budget: Share = 0.2
    """Share of the weights in the blocks that may be trained."""
    examples: Annotated[int, Field(ge=1)] = 64
    """Facts to forget that the effects are averaged over, at the most."""

    def localize(self, model: Model, split: TrainingSplit, place: Workplace) -> Localization:
        """The best-scored components within the budget."""
        rng = random.Random(place.seed)
        facts = list(split.forget)
        facts = rng.sample(facts, min(self.examples, len(facts)))
        others = [*split.maintain_train, *split.forget]
        corrupted = [_about_another(model, fact, others, rng) for fact in facts]
        effects = attribution_effects(model, facts, corrupted)
        return Localization.top(model, {name: e.abs().mean().item() for name, e in effects.items()}, self.budget)


def attribution_effects(model: Model, facts: Sequence[Fact], corrupted: Sequence[list[int]]) -> dict[str, Tensor]:
    """First-order effect [facts] on m of replacing each component's output by its corrupted one.

    `corrupted` are token ids, each as long as its fact's prompt.
    """
    clean = [model.encode(fact.prompt, fact.answer)[0] for fact in facts]
    with torch.no_grad(), model.tap() as seen:
        _last_logits(model, corrupted)
        before = dict(seen)
    with model.tap() as outputs:
        metric = _logit_difference(model, facts, _last_logits(model, clean))
        gradients = torch.autograd.grad(metric.sum(), list(outputs.values()))
    return {
        name: ((before[name] - output.detach()) * gradient).float().sum((1, 2))
        for (name, output), gradient in zip(outputs.items(), gradients, strict=True)
    }


def _last_logits(model: Model, sequences: Sequence[list[int]]) -> Tensor:
    return model.logits_at(list(sequences), list(range(len(sequences))), [len(ids) - 1 for ids in sequences])


def _logit_difference(model: Model, facts: Sequence[Fact], logits: Tensor) -> Tensor:
    """m [facts]: the logit of the answer's first token minus the mean over the distractors' others."""
    values = []
    for row, fact in zip(logits, facts, strict=True):
        answer, *others = (model.encode(fact.prompt, choice)[1][0] for choice in fact.choices)
        others = [token for token in others if token != answer]
        if not others:
            raise UsageError(f"fact {fact.id!r}: every distractor begins with the token that the answer begins with")
        values.append(row[answer] - row[others].mean())
    return torch.stack(values)


def _about_another(model: Model, fact: Fact, others: Sequence[Fact], rng: random.Random) -> list[int]:
    """The same prompt about somebody with another answer, of as many tokens.

    Where nobody's prompt is as long, random tokens stand where the subject was: between the tokens
    that the prompt shares with another one at its beginning and at its end.
    """
    clean = model.encode(fact.prompt, fact.answer)[0]
    pool = [other for other in others if other.answer != fact.answer]
    if not pool:
        raise UsageError(f"attribution patching needs facts with different answers; all say {fact.answer!r}")
    for other in rng.sample(pool, len(pool)):
        ids = model.encode(other.prompt, other.answer)[0]
        if len(ids) == len(clean):
            return ids
    start = _shared(clean, ids)
    end = min(_shared(clean[::-1], ids[::-1]), len(clean) - start)
    if start + end == len(clean):  # one prompt is the other with words left out: nothing marks the subject
        start, end = int(clean[0] in model.tokenizer.all_special_ids), 0
    special = set(model.tokenizer.all_special_ids)
    middle = [
        rng.choice([i for i in range(len(model.tokenizer)) if i not in special and i != token])
        for token in clean[start : len(clean) - end]
    ]
    return [*clean[:start], *middle, *clean[len(clean) - end :]]


def _shared(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens two sequences share at their beginning."""
    pairs = list(zip(first, second, strict=False))
    return next((i for i, (a, b) in enumerate(pairs) if a != b), len(pairs))
