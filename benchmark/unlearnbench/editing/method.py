"""A method: an edit with a name. Most are presets of `FineTuning`: *where* × *how* × *against whom* and a course."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from unlearnbench.editing.localization import Localization
from unlearnbench.facts import TrainingSplit
from unlearnbench.factset import FactsCard
from unlearnbench.model.source import ModelSource
from unlearnbench.registry import Catalogue, Entry, methods

if TYPE_CHECKING:
    from unlearnbench.editing.place import EditingPlace
    from unlearnbench.model.model import Model

History = list[dict[str, float]]
"""The training steps: losses, gradient norm and learning rate of each, and how far it had got where that was looked at
(`reached`: the share of T on which the objective is; `known`: of which the truth is still the likeliest choice; `kept`:
the same of maintain-dev); empty for an edit without steps."""


@dataclass(frozen=True, kw_only=True)
class Method(Entry):
    """Changes the weights so that the forget facts go. Fields are settings: shown, recorded and hashed."""

    catalogue: ClassVar[Catalogue] = methods
    tuned_over: ClassVar[Mapping[str, Sequence[float]]] = {}
    """The settings that `unlearnbench tune` tries, two of three values each, in units of what the method has, or of
    the model's learning rate."""

    def skip(self, facts: FactsCard, source: ModelSource) -> str | None:
        """Why this method cannot be run on this model and these facts, or None."""
        return None

    def inputs(self, facts: FactsCard, source: ModelSource) -> dict[str, str]:
        """Digests of what it reads besides the model and the facts; part of the run's identity."""
        return {}

    def resolved(self, source: ModelSource) -> Method:
        """The same method with what the model decides filled in, as it is recorded and hashed."""
        return self

    @abstractmethod
    def localize(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Localization:
        """Where it will write. Must leave the model as it was."""

    @abstractmethod
    def edit(self, model: Model, split: TrainingSplit, where: Localization, place: EditingPlace) -> History:
        """Change tensors of `where`, and no others."""
