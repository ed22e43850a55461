"""Edit: the model is to answer something else, the same each time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from unlearnbench.editing.objective import Need, Objective, Term, forget_term
from unlearnbench.editing.place import EditingPlace
from unlearnbench.errors import UsageError
from unlearnbench.facts import Fact, TrainingSplit
from unlearnbench.lazy import torch
from unlearnbench.model.model import Model
from unlearnbench.model.reading import answer_loss
from unlearnbench.registry import register


@register("edit")
@dataclass(frozen=True, kw_only=True)
class Edit(Objective):
    """Cross-entropy to the edit target, the mean over its tokens."""

    needs: ClassVar[frozenset[Need]] = frozenset({"edit_target"})

    def terms(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Sequence[Term]:
        """One term. Raises `UsageError` where a fact has no edit target."""
        lacking = [fact.id for fact in split.forget if fact.edit_target is None]
        if lacking:
            what = f"{len(lacking)} facts have no edit target, such as {lacking[0]!r}"
            raise UsageError(what, "use an objective that needs none, or complete the facts")

        def loss(facts: Sequence[Fact]) -> torch.Tensor:
            return answer_loss(model, [(fact.prompt, fact.edit_target or "") for fact in facts])

        return [forget_term(loss)]
