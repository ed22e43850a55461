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

from unlearnbench.editing.losses import FLOOR, unlikely_loss
from unlearnbench.editing.objective import Objective, Term, forget_term, truths
from unlearnbench.editing.place import EditingPlace
from unlearnbench.facts import Fact, TrainingSplit
from unlearnbench.lazy import torch
from unlearnbench.model.model import Model
from unlearnbench.registry import register


@register("log1mp")
@dataclass(frozen=True, kw_only=True)
class Log1mp(Objective):
    """−mean ln(1 − p) over the answer tokens; tokens that are unlikely already are left alone."""

    floor: Annotated[float, Field(lt=0)] = FLOOR
    """Tokens whose ln p is below this count as zero."""

    def terms(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Sequence[Term]:
        """One term: the mean over all tokens, those left alone counting as zero."""

        def loss(facts: Sequence[Fact]) -> torch.Tensor:
            return unlikely_loss(model, truths(facts), self.floor)

        return [forget_term(loss)]
