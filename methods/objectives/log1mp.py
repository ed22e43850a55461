"""log(1 − p): the true answer is to become unlikely, and nothing is said about what takes its place.

The forget loss of Guo et al. (2024, arXiv 2410.12949) and of latent adversarial training
(Sheshadri et al., 2024). Its gradient with respect to a logit is p at the most, and ends where the
answer has become unlikely, so that it stops by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from unlearnbench.editing.objective import Objective, Term, forget_term
from unlearnbench.editing.place import EditingPlace
from unlearnbench.facts import Fact, TrainingSplit
from unlearnbench.lazy import torch
from unlearnbench.model.model import Model
from unlearnbench.model.reading import answer_logits
from unlearnbench.registry import register


@register("log1mp")
@dataclass(frozen=True, kw_only=True)
class Log1mp(Objective):
    """−mean ln(1 − p) over the answer tokens; tokens that are unlikely already are left alone."""

    floor: Annotated[float, Field(lt=0)] = -5.0
    """Tokens whose ln p is below this count as zero."""

    def terms(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Sequence[Term]:
        """One term: the mean over all tokens, those left alone counting as zero."""

        def loss(facts: Sequence[Fact]) -> torch.Tensor:
            logits, targets = answer_logits(model, [(fact.prompt, fact.answer) for fact in facts])
            return log_one_minus_p(logits, targets, self.floor)

        return [forget_term(loss)]


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
