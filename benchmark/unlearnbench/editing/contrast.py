"""Clean and corrupted prompts, and the difference between the right answer and the others: for localizers."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from unlearnbench.errors import UsageError
from unlearnbench.facts import Fact
from unlearnbench.lazy import torch
from unlearnbench.model.reading import encode

if TYPE_CHECKING:
    from unlearnbench.model.model import Model


def logit_difference(model: Model, facts: Sequence[Fact], logits: torch.Tensor) -> torch.Tensor:
    """m [facts]: the logit of the answer's first token minus the mean over the distractors' others."""
    values = []
    for row, fact in zip(logits, facts, strict=True):
        answer, *others = (encode(model, fact.prompt, choice)[1][0] for choice in fact.choices)
        others = [token for token in others if token != answer]
        if not others:
            raise UsageError(f"fact {fact.id!r}: every distractor begins with the token that the answer begins with")
        values.append(row[answer] - row[others].mean())
    return torch.stack(values)


def about_another(model: Model, fact: Fact, others: Sequence[Fact], rng: random.Random) -> list[int]:
    """The same prompt about somebody with another answer, of as many tokens.

    Where nobody's prompt is as long, random tokens stand where the subject was: between the tokens
    that the prompt shares with another one at its beginning and at its end.
    """
    clean = encode(model, fact.prompt, fact.answer)[0]
    pool = [other for other in others if other.answer != fact.answer]
    if not pool:
        raise UsageError(f"a corrupted prompt needs facts with different answers; all say {fact.answer!r}")
    for other in rng.sample(pool, len(pool)):
        ids = encode(model, other.prompt, other.answer)[0]
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
