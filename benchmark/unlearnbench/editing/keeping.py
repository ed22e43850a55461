"""Retain terms: what an edit is to leave as it was, besides the facts to forget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unlearnbench.editing.losses import kl_divergence, relative_distance
from unlearnbench.editing.objective import Batch, Term, truths, whole_texts
from unlearnbench.editing.place import EditingPlace, reference_of
from unlearnbench.lazy import torch
from unlearnbench.model.reading import answer_logits, answer_loss, text_logits, text_loss
from unlearnbench.model.residuals import residuals

if TYPE_CHECKING:
    from unlearnbench.model.model import Model

Divergence = Callable[["torch.Tensor", "torch.Tensor"], "torch.Tensor"]
"""Of the second from the first, both logits [positions, vocabulary]."""


@dataclass(frozen=True)
class Keeping:
    """Weights of the retain terms; what weighs nothing is not computed."""

    maintain: float
    """Of the cross-entropy of the right answers to facts to keep."""
    retain: float
    """Of the cross-entropy of plain text."""
    kl: float
    """Of KL(base ‖ edited) on plain text, the mean over its tokens."""
    hidden: float
    """Of Σ‖h − h₀‖²/Σ‖h₀‖² on plain text, the mean over the residual streams after all blocks."""

    @property
    def compares(self) -> bool:
        """Whether it needs the model of before the edit."""
        return self.kl > 0 or self.hidden > 0

    def terms(self, model: Model, place: EditingPlace) -> list[Term]:
        """Those of some weight. Raises `ValueError` where one compares with a base that `place` has not."""
        found = list[Term]()
        if self.maintain:
            loss = lambda batch: answer_loss(model, truths(batch.maintain))  # noqa: E731
            found.append(Term("maintain", loss, self.maintain, about="maintain"))
        if self.retain:
            found.append(Term("retain", lambda batch: text_loss(model, batch.retain), self.retain))
        if self.kl:
            found.append(Term("kl", on_text(kl_divergence, model, reference_of(place)), self.kl))
        if self.hidden:
            reference, blocks = reference_of(place), range(model.blocks)
            found.append(Term("hidden", lambda b: moved(model, reference, b.retain, blocks), self.hidden))
        return found


def on_text(divergence: Divergence, model: Model, reference: Model) -> Callable[[Batch], torch.Tensor]:
    """A loss: the divergence of a model from a reference on plain text."""

    def loss(batch: Batch) -> torch.Tensor:
        with torch.no_grad():
            before = text_logits(reference, batch.retain)[0]
        return divergence(before, text_logits(model, batch.retain)[0])

    return loss


def on_answers(divergence: Divergence, model: Model, reference: Model) -> Callable[[Batch], torch.Tensor]:
    """A loss: the same where facts to keep are answered."""

    def loss(batch: Batch) -> torch.Tensor:
        with torch.no_grad():
            before = answer_logits(reference, truths(batch.maintain))[0]
        return divergence(before, answer_logits(model, truths(batch.maintain))[0])

    return loss


def states(
    model: Model, reference: Model, texts: Sequence[list[int]], blocks: Sequence[int]
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """The residual streams after these blocks: what they were, without gradients, and what they are."""
    with torch.no_grad():
        before = residuals(reference, texts, blocks)
    now = residuals(model, texts, blocks)
    return [(before[block], now[block]) for block in blocks]


def moved(model: Model, reference: Model, texts: Sequence[list[int]], blocks: Sequence[int]) -> torch.Tensor:
    """Σ‖h − h₀‖²/Σ‖h₀‖², the mean over these blocks."""
    both = states(model, reference, texts, blocks)
    return torch.stack([relative_distance(before, now) for before, now in both]).mean()


def states_terms(model: Model, loss: Callable[[Sequence[list[int]]], torch.Tensor], weight: float) -> list[Term]:
    """A loss on texts as two terms: on facts to keep, with their answers, and on plain text."""
    return [
        Term("maintain_states", lambda batch: loss(whole_texts(model, batch.maintain)), weight, about="maintain"),
        Term("retain_states", lambda batch: loss(batch.retain), weight),
    ]
