"""Formulas of losses on logits, shared by objectives and adversaries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unlearnbench.lazy import torch
from unlearnbench.model.reading import Pair, answer_logits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unlearnbench.model.model import Model

FLOOR = -5.0
"""Tokens whose ln p is below this are unlikely enough."""


def log_one_minus_p(logits: torch.Tensor, targets: torch.Tensor, floor: float) -> torch.Tensor:
    """−mean ln(1 − p) of the targets [tokens] under logits [tokens, vocabulary]; ln p < `floor` counts as zero.

    With m the target's logit minus the log-sum-exp of all others, −ln(1 − p) = softplus(m) and
    ln p = −softplus(−m). Computed so, an answer that the model is certain of still has its full
    gradient; through ln p in float32 it would have none, and the surest facts would never be unlearned.
    """
    softplus = torch.nn.functional.softplus
    others = logits.scatter(-1, targets[:, None], -torch.inf).logsumexp(-1)
    margin = logits.gather(-1, targets[:, None])[:, 0] - others
    return torch.where(-softplus(-margin) < floor, 0.0, softplus(margin)).mean()


def unlikely_loss(model: Model, pairs: Sequence[Pair], floor: float = FLOOR) -> torch.Tensor:
    """The same of the answer tokens of these pairs: low where the answers have become unlikely."""
    return log_one_minus_p(*answer_logits(model, pairs), floor)
