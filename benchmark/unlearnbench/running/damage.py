"""What an edit did to everything else: loss on retain text, divergence from the base, facts that were kept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unlearnbench.lazy import torch
from unlearnbench.model.reading import text_logits

if TYPE_CHECKING:
    from unlearnbench.editing.retain import RetainText
    from unlearnbench.model.model import Model

MOST_RISE = 1.0
"""Nats by which the loss on retain text may rise; beyond, with a perplexity e times as high, the model is broken, and
the run no result."""
COMPARED = 8
"""Positions of each text at which the edited model's distributions are compared with the base's, evenly spaced."""


@dataclass(frozen=True)
class Reading:
    """How a model reads the retain text that is never trained on."""

    loss: float
    """Mean next-token loss."""
    logprobs: Sequence[torch.Tensor]
    """[positions, vocabulary] of each batch of texts, at the compared positions."""

    def kl(self, edited: Reading) -> float:
        """Mean KL divergence of the edited model's next-token distributions from these, in nats."""
        found = [
            torch.nn.functional.kl_div(after, before, log_target=True, reduction="none").sum(1)
            for before, after in zip(self.logprobs, edited.logprobs, strict=True)
        ]
        return torch.cat(found).double().mean().item()


def read(model: Model, retain: RetainText) -> Reading:
    """Read the retain text, eight texts at a time."""
    losses, logprobs = list[torch.Tensor](), list[torch.Tensor]()
    for start in range(0, len(retain.test), 8):
        texts = retain.test[start : start + 8]
        with torch.no_grad():
            logits, following, at = text_logits(model, texts)
            logits = logits.float()
            losses.append(torch.nn.functional.cross_entropy(logits, following))
            chosen = [i for i, (row, column) in enumerate(at) if column in _compared(len(texts[row]) - 1)]
            logprobs.append(logits[chosen].log_softmax(1).cpu())
    return Reading(math.fsum(loss.item() for loss in losses) / len(losses), logprobs)


def _compared(positions: int) -> set[int]:
    return {round(i * (positions - 1) / (COMPARED - 1)) for i in range(COMPARED)}


def collapse(model: Model, before: float, after: float) -> str | None:
    """Why the edited model is broken, or None; judged by its loss on retain text."""
    if not math.isfinite(after):
        return "collapsed: the loss on retain text is not finite"
    guessing = math.log(model.vocabulary)
    if before < guessing <= after:
        return f"collapsed: the loss on retain text is {after:.2f}, and a uniform guess has {guessing:.2f}"
    if before < guessing and after - before > MOST_RISE:
        return f"collapsed: the loss on retain text rose from {before:.2f} to {after:.2f}, by more than {MOST_RISE:g}"
    return None


def nothing_kept(kept: float, before: float, unknown: float, facts: int) -> str | None:
    """Why facts that were to be kept are gone, or None: they are known no better than facts that nobody taught.

    `kept` and `before` are accuracies on the same `facts` after and before the edit; `unknown` is the base's on
    never-known facts. It is judged only where the base knew them: beyond two standard errors of a guess.
    """
    noise = 2 * math.sqrt(max(unknown * (1 - unknown), 1e-9) / facts)
    if before > unknown + 2 * noise and kept <= unknown + noise:
        return f"collapsed: of the facts to keep {kept:.2f} are known, of never-known ones {unknown:.2f}"
    return None
