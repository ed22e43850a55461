"""Formulas of losses, shared by objectives and adversaries: on logits, and between a model and another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from unlearnbench.lazy import torch
from unlearnbench.model.reading import Pair, answer_logits

if TYPE_CHECKING:
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


def kl_divergence(reference: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """Mean over positions of KL(reference ‖ model), both given as logits [positions, vocabulary]; nats."""
    before, now = reference.log_softmax(-1), logits.log_softmax(-1)
    return (before.exp() * (before - now)).sum(-1).mean()


def jensen_shannon(reference: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """Mean over positions of the Jensen–Shannon divergence of two distributions, given as logits; at most ln 2."""
    before, now = reference.log_softmax(-1), logits.log_softmax(-1)
    middle = torch.logaddexp(before, now) - math.log(2)
    return ((before.exp() * (before - middle)).sum(-1) + (now.exp() * (now - middle)).sum(-1)).mean() / 2


def jensen_shannon_to(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The same between a model and certainty of the targets [positions]: a function of their probability p alone.

    ½ [(1 − p) ln 2 + p ln(2p / (1 + p)) − ln((1 + p) / 2)]
    """
    logp = -torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    p = logp.exp()
    middle = torch.log1p(p) - math.log(2)
    return (((1 - p) * math.log(2) + p * (logp - middle)) - middle).mean() / 2


def relative_distance(reference: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
    """Σ ‖h − h₀‖² / Σ ‖h₀‖² over tokens [tokens, width]: what share of the reference is another."""
    return (states - reference).square().sum() / reference.square().sum()
