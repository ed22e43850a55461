"""JensUn: a bounded divergence to a refusal on the facts to forget, and to the model before on what is kept.

Singh et al. (2025, arXiv 2509.02820): both losses are Jensen–Shannon divergences, at most ln 2, so that neither
outgrows the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from unlearnbench.editing.keeping import on_answers, on_text
from unlearnbench.editing.losses import jensen_shannon, jensen_shannon_to
from unlearnbench.editing.objective import Need, Objective, Term, forget_term
from unlearnbench.editing.place import EditingPlace, reference_of
from unlearnbench.editing.refusals import refusals_of
from unlearnbench.facts import Fact, TrainingSplit
from unlearnbench.lazy import torch
from unlearnbench.model.model import Model
from unlearnbench.model.reading import answer_logits
from unlearnbench.registry import register


@register("jensun")
@dataclass(frozen=True, kw_only=True)
class JensUn(Objective):
    """JSD(model, a refusal) on facts to forget + `keep` · [JSD(model, base) on facts to keep, and on plain text]."""

    needs: ClassVar[frozenset[Need]] = frozenset({"reference"})

    keep: Annotated[float, Field(ge=0)] = 1.0
    """Weight of each of the two divergences from the base."""

    def terms(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Sequence[Term]:
        """Three terms."""
        said, reference = refusals_of(split.forget, place.seed), reference_of(place)

        def refused(facts: Sequence[Fact]) -> torch.Tensor:
            return jensen_shannon_to(*answer_logits(model, [(fact.prompt, said[fact.id]) for fact in facts]))

        return [
            forget_term(refused),
            Term("maintain_jsd", on_answers(jensen_shannon, model, reference), self.keep, about="maintain"),
            Term("retain_jsd", on_text(jensen_shannon, model, reference), self.keep),
        ]
