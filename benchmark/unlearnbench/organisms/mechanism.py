"""Is the mechanism there, and not only the answers? Probe and residual swap, by block and position.

A *swap* replaces the residual stream after one block, at one position, by the one that the model has on the
same sentence about somebody with another answer, and asks whether the answer follows. Where the fact
is looked up at the subject, it follows there in early blocks, and at the answer position only after
the answer was extracted. An untrained model flips about as often as it guesses.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from unlearnbench.model.hooks import intervened
from unlearnbench.model.model import Model
from unlearnbench.model.reading import Position, last_logits, residuals_at
from unlearnbench.world.athletes import Person


@dataclass(frozen=True)
class Swaps:
    """Share of answers that follow a swap, after each block."""

    wording: str
    subject: tuple[float, ...]
    """At the subject's last token."""
    answer: tuple[float, ...]
    """At the answer position, the last token of the prompt."""


def swaps(model: Model, people: Sequence[Person], wording: str, sports: Sequence[str], seed: int = 0) -> Swaps:
    """Swap every person with one of another sport, drawn by seed; `wording` is a prompt with `{s}`."""
    rng = random.Random(seed)
    donors = [rng.choice([other for other in people if other.sport != person.sport]) for person in people]
    blocks = range(model.blocks)
    found: dict[bool, list[float]] = {}
    for at_subject in (True, False):
        clean = [position_of(model, wording, person.name, at_subject=at_subject) for person in people]
        other = [position_of(model, wording, donor.name, at_subject=at_subject) for donor in donors]
        residuals = residuals_at(model, other)
        flips = []
        for block in blocks:
            answers = _answers_with(model, clean, block, residuals[block], sports)
            flips.append(sum(a == donor.sport for a, donor in zip(answers, donors, strict=True)) / len(people))
        found[at_subject] = flips
    return Swaps(wording, tuple(found[True]), tuple(found[False]))


def probe_accuracy(model: Model, train: Sequence[Person], test: Sequence[Person], wording: str) -> tuple[float, ...]:
    """Accuracy, by block, of a logistic regression from the residual at the subject's last token to the sport.

    Standardized, converged; trained and tested on different people. Needs scikit-learn.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    seen = residuals_at(model, [position_of(model, wording, person.name, at_subject=True) for person in train])
    unseen = residuals_at(model, [position_of(model, wording, person.name, at_subject=True) for person in test])
    scores = []
    for block in range(model.blocks):
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=5000))
        probe.fit(seen[block].numpy(), [person.sport for person in train])
        scores.append(float(probe.score(unseen[block].numpy(), [person.sport for person in test])))
    return tuple(scores)


def position_of(model: Model, wording: str, name: str, *, at_subject: bool) -> Position:
    """The prompt's tokens, and the position of the subject's last token or of the prompt's last one."""
    ids = list(model.tokenizer(wording.format(s=name)).input_ids)
    before = wording.split("{s}")[0] + name
    return ids, (len(model.tokenizer(before).input_ids) if at_subject else len(ids)) - 1


@torch.no_grad()
def _answers_with(
    model: Model, positions: Sequence[Position], block: int, residuals: Tensor, sports: Sequence[str]
) -> list[str]:
    """The likeliest sport of each prompt when the residual after `block` is replaced at its position."""
    ids_of = [model.tokenizer(sport, add_special_tokens=False).input_ids[0] for sport in sports]
    answers: list[str] = []
    for start in range(0, len(positions), 64):
        batch, new = positions[start : start + 64], residuals[start : start + 64]
        rows, columns = torch.arange(len(batch)), torch.tensor([position for _, position in batch])

        def swap(output: Tensor, rows: Tensor = rows, columns: Tensor = columns, new: Tensor = new) -> Tensor:
            changed = output.clone()
            changed[rows, columns] = new
            return changed

        with intervened(model, {f"{model.family.blocks}.{block}": swap}):
            logits = last_logits(model, [ids for ids, _ in batch])
        answers += [sports[i] for i in logits[:, ids_of].argmax(1).tolist()]
    return answers
