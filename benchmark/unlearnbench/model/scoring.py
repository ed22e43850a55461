"""How likely a model finds each answer to each question: models are scored here and nowhere else."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from unlearnbench.errors import UsageError
from unlearnbench.facts import Fact
from unlearnbench.lazy import torch
from unlearnbench.model.reading import encode, logits_at

if TYPE_CHECKING:
    from unlearnbench.model.model import Model


class Asked(NamedTuple):
    """A prompt and the answers whose likelihood is wanted."""

    prompt: str
    choices: tuple[str, ...]


class Scored(NamedTuple):
    """What the model finds."""

    logprobs: tuple[float, ...]
    """ln p of each choice given the prompt: summed over its tokens, under the whole vocabulary."""
    begins: frozenset[int]
    """The choices that begin with the likeliest next token of all; none of them if it is something else."""

    @property
    def decision(self) -> int:
        """The likeliest choice; the first of them where several tie."""
        return self.logprobs.index(max(self.logprobs))

    def credit(self, choice: int) -> float:
        """1 if this choice is the likeliest, 1/k if it ties with k − 1 others, else 0: what a coin toss would win."""
        best = max(self.logprobs)
        return (self.logprobs[choice] == best) / self.logprobs.count(best)

    @property
    def valid(self) -> bool:
        """Whether the likeliest next token of all begins one of the choices."""
        return bool(self.begins)

    def among(self, choices: range) -> Scored:
        """The same for some of the choices, renumbered from 0."""
        return Scored(
            self.logprobs[choices.start : choices.stop],
            frozenset(i - choices.start for i in self.begins if i in choices),
        )

    @property
    def margin(self) -> float:
        """By how much the likeliest choice leads the next (nats); 0 is a tie."""
        first, second = sorted(self.logprobs, reverse=True)[:2]
        return first - second


class _Wanted(NamedTuple):
    question: int
    choice: int
    row: int
    columns: range
    tokens: list[int]


def _arrange(model: Model, asked: Sequence[Asked]) -> tuple[list[list[int]], list[_Wanted]]:
    """The sequences to run, longest ones standing for all their beginnings, and what to read where.

    Choices of one token need nothing but the prompt, so that a question costs one sequence however
    many choices it has; longer choices share a sequence where one begins with the other.
    """
    needed: list[tuple[int, int, list[int], list[int]]] = []
    for i, question in enumerate(asked):
        for j, choice in enumerate(question.choices):
            context, tokens = encode(model, question.prompt, choice)
            needed.append((i, j, context, tokens))
    prefixes = sorted({tuple(context + tokens[:-1]) for _, _, context, tokens in needed})
    # Sorted sequences have their extensions right behind them.
    longest = [p for p, following in zip(prefixes, [*prefixes[1:], ()], strict=True) if following[: len(p)] != p]
    row_of: dict[tuple[int, ...], int] = {}
    at = 0
    for prefix in prefixes:
        while longest[at][: len(prefix)] != prefix:
            at += 1
        row_of[prefix] = at
    wanted = []
    for i, j, context, tokens in needed:
        columns = range(len(context) - 1, len(context) + len(tokens) - 1)
        wanted.append(_Wanted(i, j, row_of[tuple(context + tokens[:-1])], columns, tokens))
    return [list(sequence) for sequence in longest], wanted


def score(model: Model, asked: Sequence[Asked], batch_size: int) -> list[Scored]:
    """Score every choice of every question; batched by length, independent of the batch size.

    Independent means: up to float rounding (1e-5 in float32), since padding is invisible to a causal model.
    """
    if not asked:
        return []
    sequences, wanted = _arrange(model, asked)
    logprobs = [[0.0] * len(question.choices) for question in asked]
    begins: list[set[int]] = [set() for _ in asked]
    by_row: dict[int, list[_Wanted]] = {}
    for want in wanted:
        by_row.setdefault(want.row, []).append(want)
    order = sorted(by_row, key=lambda row: len(sequences[row]))
    for begin in range(0, len(order), batch_size):
        batch = order[begin : begin + batch_size]
        positions = sorted({(k, c) for k, row in enumerate(batch) for w in by_row[row] for c in w.columns})
        index = {position: n for n, position in enumerate(positions)}
        with torch.no_grad():
            rows, columns = [k for k, _ in positions], [c for _, c in positions]
            logits = logits_at(model, [sequences[r] for r in batch], rows, columns)
        found = logits.log_softmax(-1)
        top = found.argmax(-1).tolist()
        reads = [(w, [index[k, c] for c in w.columns]) for k, row in enumerate(batch) for w in by_row[row]]
        flat = [(n, token) for w, at in reads for n, token in zip(at, w.tokens, strict=True)]
        values = iter(found[[n for n, _ in flat], [t for _, t in flat]].double().tolist())
        for want, at in reads:
            logprobs[want.question][want.choice] = sum(next(values) for _ in at)
            if top[at[0]] == want.tokens[0]:
                begins[want.question].add(want.choice)
    return [Scored(tuple(lp), frozenset(first)) for lp, first in zip(logprobs, begins, strict=True)]


def score_directly(model: Model, facts: Sequence[Fact], batch_size: int = 64) -> list[Scored]:
    """Score every choice of each fact after the fact's own prompt; the true answer is choice 0."""
    return score(model, [Asked(fact.prompt, fact.choices) for fact in facts], batch_size)


def known_share(model: Model, facts: Sequence[Fact]) -> float:
    """Accuracy on the facts' own prompts."""
    return math.fsum(one.credit(0) for one in score_directly(model, facts)) / len(facts)


def refuse_indistinguishable(model: Model, facts: Iterable[Fact]) -> None:
    """Raise `UsageError` for a fact of which one choice's tokens begin, or equal, another's.

    Such a pair cannot be told apart by likelihood: the shorter always wins, or both always tie.
    """
    for fact in facts:
        tokens = {choice: tuple(encode(model, fact.prompt, choice)[1]) for choice in fact.choices}
        for first, ids in tokens.items():
            for second, others in tokens.items():
                if first != second and others[: len(ids)] == ids:
                    raise UsageError(
                        f"fact {fact.id!r}: the tokenizer cannot tell {first!r} from {second!r}"
                        f" (tokens {list(ids)} and {list(others)})",
                        "reword one of the answers, or leave the fact out",
                    )
