"""Retain terms: what an edit is to leave as it was, besides the facts to forget."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unlearnbench.editing.losses import kl_divergence, relative_distance
from unlearnbench.editing.objective import Batch, Term, truths
from unlearnbench.editing.place import EditingPlace, reference_of
from unlearnbench.lazy import torch
from unlearnbench.model.reading import answer_loss, text_logits, text_loss
from unlearnbench.model.residuals import residuals

if TYPE_CHECKING:
    from unlearnbench.model.model import Model


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
        able: list[tuple[str, float, Callable[[], Callable[[Batch], torch.Tensor]]]] = [
            ("retain", self.retain, lambda: lambda batch: text_loss(model, batch.retain)),
            ("kl", self.kl, lambda: _kl(model, reference_of(place))),
            ("hidden", self.hidden, lambda: _hidden(model, reference_of(place))),
        ]
        found = [Term(name, loss(), weight) for name, weight, loss in able if weight]
        kept = Term("maintain", lambda b: answer_loss(model, truths(b.maintain)), self.maintain, about="maintain")
        return [kept, *found] if self.maintain else found


def _kl(model: Model, reference: Model) -> Callable[[Batch], torch.Tensor]:
    def loss(batch: Batch) -> torch.Tensor:
        with torch.no_grad():
            before = text_logits(reference, batch.retain)[0]
        return kl_divergence(before, text_logits(model, batch.retain)[0])

    return loss


def _hidden(model: Model, reference: Model) -> Callable[[Batch], torch.Tensor]:
    def loss(batch: Batch) -> torch.Tensor:
        with torch.no_grad():
            before = residuals(reference, batch.retain, range(model.blocks))
        now = residuals(model, batch.retain, range(model.blocks))
        return torch.stack([relative_distance(before[block], now[block]) for block in now]).mean()

    return loss
