"""Clean and corrupted prompts, and the difference between the right answer and the others: for localizers."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unlearnbench.errors import UsageError
from unlearnbench.facts import Fact, TrainingSplit
from unlearnbench.lazy import torch
from unlearnbench.model.reading import encode, last_logits
from unlearnbench.model.subject import subject_tokens

if TYPE_CHECKING:
    from unlearnbench.model.model import Model


@dataclass(frozen=True)
class Pairs:
    """Prompts, and the same prompts about somebody with another answer, token for token as long."""

    facts: Sequence[Fact]
    clean: Sequence[list[int]]
    corrupted: Sequence[list[int]]
    subjects: Sequence[range]
    """Where the subject's tokens are, in both."""

    def __post_init__(self) -> None:
        for fact, clean, corrupted in zip(self.facts, self.clean, self.corrupted, strict=True):
            if len(clean) != len(corrupted):
                raise UsageError(
                    f"fact {fact.id!r}: its clean prompt has {len(clean)} tokens, its corrupted one {len(corrupted)}",
                    "outputs are swapped position by position: both need the same length",
                )

    def difference(self, model: Model, sequences: Sequence[list[int]]) -> torch.Tensor:
        """m [facts] after these prompts."""
        return logit_difference(model, self.facts, last_logits(model, sequences))


def pairs_of(model: Model, split: TrainingSplit, examples: int, seed: int) -> Pairs:
    """Pairs about facts to forget, at most so many, drawn by the seed; others lend their names."""
    rng = random.Random(seed)
    facts = list(split.forget)
    facts = rng.sample(facts, min(examples, len(facts)))
    others = [*split.maintain_train, *split.forget]
    return Pairs(
        facts,
        [encode(model, fact.prompt, fact.answer)[0] for fact in facts],
        [about_another(model, fact, others, rng) for fact in facts],
        [subject_tokens(model, fact) for fact in facts],
    )


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

    Where nobody's name is as long, random tokens stand where the subject was.
    Raises `UsageError` where all facts have one answer.
    """
    clean = encode(model, fact.prompt, fact.answer)[0]
    pool = [other for other in others if other.answer != fact.answer]
    if not pool:
        raise UsageError(f"a corrupted prompt needs facts with different answers; all say {fact.answer!r}")
    alike = [other for other in pool if _frame(other) == _frame(fact)]
    for other in rng.sample(alike, len(alike)):
        ids = encode(model, other.prompt, other.answer)[0]
        if len(ids) == len(clean):
            return ids
    subject, special = subject_tokens(model, fact), set(model.tokenizer.all_special_ids)
    able = [token for token in range(min(len(model.tokenizer), model.vocabulary)) if token not in special]
    names = [rng.choice(able[:-1]) for _ in subject]
    # Never the token itself: whoever draws it gets the one that was left out.
    names = [able[-1] if new == clean[at] else new for new, at in zip(names, subject, strict=True)]
    return [*clean[: subject.start], *names, *clean[subject.stop :]]


def _frame(fact: Fact) -> str:
    """The prompt without its subject."""
    return fact.prompt.replace(fact.subject, "\0")
