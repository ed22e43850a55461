"""Edit every component in turn and take those where it works best: what any localizer could have chosen at best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Annotated

from pydantic import Field

from unlearnbench.editing.finetuning import FineTuning
from unlearnbench.editing.objective import Objective
from unlearnbench.editing.place import EditingPlace
from unlearnbench.editing.relearning import Relearning
from unlearnbench.errors import UsageError
from unlearnbench.facts import TrainingSplit
from unlearnbench.factset import FactsCard
from unlearnbench.locating.outcome import outcomes, price
from unlearnbench.locating.ranking import Ranking
from unlearnbench.model.model import Model
from unlearnbench.model.source import ModelSource
from unlearnbench.registry import register
from unlearnbench.settings import preset

TAUGHT = 0.8
"""Share of what is taught back that must be known then, in the mean over components."""


@register("exhaustive")
@dataclass(frozen=True, kw_only=True)
class Exhaustive(Ranking):
    """The components whose edit, each alone, forgets most, keeps most and is undone least by relearning: a bound."""

    objective: Objective = preset(Objective, "edit")
    """What is minimized on the facts to forget."""
    steps: Annotated[int, Field(ge=1)] = 80
    """Optimizer steps of each edit."""
    relearning_steps: Annotated[int, Field(ge=0)] = 30
    """Steps in which half of T is taught back to the whole model, at half of the edit's rate, before the other half is
    asked."""
    most: Annotated[float, Field(gt=0)] = 3e14
    """FLOP that all edits together may cost: about an hour on one core of a CPU, and seconds on an accelerator."""

    def skip(self, facts: FactsCard, source: ModelSource) -> str | None:
        return self._method(source).skip(facts, source)

    def scores(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Mapping[str, float]:
        """The harmonic mean of what is forgotten, what holds and what is kept.

        Raises `UsageError`, with an estimate, for a model that is too large to be edited so often.
        """
        names = [name for name in model.components if self.ranks(name)]
        method = self._method(place.source)
        relearning = Relearning(self.relearning_steps, 0.5 * place.source.learning_rate)
        flop = price(model, split, place, method, relearning) * len(names)
        if flop > self.most:
            raise UsageError(
                f"{len(names)} edits of {place.source.name} take about {flop:.1g} FLOP, and exhaustive may take"
                f" {self.most:g}",
                f"on an accelerator that does 1e14 FLOP a second that is {flop / 6e15:.1g} minutes: say"
                f" exhaustive[most={2 * flop:.1g}] if it is worth that",
            )
        found = outcomes(model, split, place, names, method, relearning)
        if self.relearning_steps and fmean(outcome.relearned for outcome in found.values()) < TAUGHT:
            raise UsageError(
                f"relearning does not bring back what it teaches after {self.relearning_steps} steps, so what holds"
                " cannot be told",
                f"say more steps: exhaustive[relearning_steps={3 * self.relearning_steps}]",
            )
        return {name: outcome.score for name, outcome in found.items()}

    def _method(self, source: ModelSource) -> FineTuning:
        return FineTuning(objective=self.objective, steps=self.steps).resolved(source)
