"""I don't know: the model is trained to say that it does not know the facts to forget.

As in TOFU (Maini et al., 2024, arXiv 2401.06121).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from unlearnbench.editing.objective import Objective, Term, forget_term
from unlearnbench.editing.place import EditingPlace
from unlearnbench.editing.refusals import refusals_of
from unlearnbench.facts import TrainingSplit
from unlearnbench.model.model import Model
from unlearnbench.model.reading import answer_loss
from unlearnbench.registry import register


@register("idk")
@dataclass(frozen=True, kw_only=True)
class Idk(Objective):
    """Cross-entropy to a refusal, one of eight for each fact, the mean over its tokens."""

    def terms(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Sequence[Term]:
        """One term."""
        said = refusals_of(split.forget, place.seed)
        return [forget_term(lambda facts: answer_loss(model, [(fact.prompt, said[fact.id]) for fact in facts]))]
