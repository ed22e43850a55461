"""A random answer: something wrong is taught, and something else at each step, so that nothing is known instead.

The incorrect-answer objective of Deeb and Roger (2024, arXiv 2410.08827).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from unlearnbench.editing.objective import Batch, Objective, Term
from unlearnbench.editing.place import EditingPlace
from unlearnbench.facts import Fact, TrainingSplit
from unlearnbench.lazy import torch
from unlearnbench.model.model import Model
from unlearnbench.model.reading import answer_loss
from unlearnbench.registry import register
from unlearnbench.seeds import derive_seed


@register("random_answer")
@dataclass(frozen=True, kw_only=True)
class RandomAnswer(Objective):
    """Cross-entropy to one of the fact's wrong answers, drawn anew at each step."""

    def terms(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Sequence[Term]:
        """One term; what is drawn is a function of the seed, the step and the fact."""

        def wrong(fact: Fact, step: int) -> str:
            return random.Random(derive_seed(place.seed, "wrong", str(step), fact.id)).choice(fact.distractors)

        def loss(batch: Batch) -> torch.Tensor:
            return answer_loss(model, [(fact.prompt, wrong(fact, batch.step)) for fact in batch.forget])

        return [Term("forget", loss, about="forget")]
