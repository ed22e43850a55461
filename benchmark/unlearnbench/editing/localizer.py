"""*Where*: a localizer chooses the tensors that may change."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from unlearnbench.editing.localization import Localization
from unlearnbench.facts import TrainingSplit
from unlearnbench.factset import FactsCard
from unlearnbench.model.source import ModelSource
from unlearnbench.registry import Catalogue, Entry, localizers

if TYPE_CHECKING:
    from unlearnbench.editing.place import EditingPlace
    from unlearnbench.model.model import Model

Share = Annotated[float, Field(gt=0, le=1)]
"""A share of the weights in the blocks."""


@dataclass(frozen=True, kw_only=True)
class Localizer(Entry):
    """Chooses where to write. Its fields are settings: shown, recorded and hashed."""

    catalogue: ClassVar[Catalogue] = localizers

    def skip(self, facts: FactsCard, source: ModelSource) -> str | None:
        """Why it cannot work on this model and these facts, if it cannot: found before anything is loaded."""
        return None

    @abstractmethod
    def localize(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Localization:
        """The tensors that training may change. Must leave the model as it was.

        Raises `UsageError` where its settings select nothing in this model.
        """
