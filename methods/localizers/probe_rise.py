"""The look-up as the paper found it, without a hand: the layers in which the fact becomes readable at the subject."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

from pydantic import Field

from unlearnbench.editing.localization import Localization
from unlearnbench.editing.localizer import Localizer, Share
from unlearnbench.editing.place import EditingPlace
from unlearnbench.errors import UsageError
from unlearnbench.facts import TrainingSplit
from unlearnbench.locating.probing import probe_accuracies
from unlearnbench.model.model import Model
from unlearnbench.registry import register


@register("probe_rise")
@dataclass(frozen=True, kw_only=True)
class ProbeRise(Localizer):
    """The MLPs of the blocks in which a linear probe for the answer rises to its plateau (Guo et al. 2024, §3.1)."""

    budget: Share = 0.2
    """Share of the weights in the blocks that may be trained."""
    plateau: Annotated[float, Field(gt=0, le=1)] = 0.95
    """The plateau begins where the probe is this share of its best; what rises later is not looked up."""
    least: Annotated[float, Field(ge=0, le=1)] = 0.1
    """How much the probe must rise over all blocks; with less nothing becomes readable at the subject."""

    def localize(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Localization:
        """Raises `UsageError` where the probe does not rise."""
        accuracies = probe_accuracies(model, [*split.forget, *split.maintain_train], place.seed)
        scores = {f"mlp.{block}": rise for block, rise in enumerate(rises(accuracies, self.plateau))}
        if sum(scores.values()) < self.least:
            shown = ", ".join(f"{share:.2f}" for share in accuracies)
            raise UsageError(
                f"a probe for the answer at the subject does not rise: {shown} after the embeddings and each block",
                "the facts are in the embeddings, or are read elsewhere; probe_rise[least=0] ranks all the same",
            )
        return Localization.top(model, scores, self.budget, scores)


def rises(accuracies: Sequence[float], plateau: float) -> list[float]:
    """By how much each block raises the probe, up to the block in which the plateau begins."""
    best, found, reached = max(accuracies), list[float](), accuracies[0] >= plateau * max(accuracies)
    for before, after in pairwise(accuracies):
        found.append(0.0 if reached else max(after - before, 0.0))
        reached = reached or after >= plateau * best
    return found
