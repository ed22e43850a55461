"""Several methods, one after another: an edit that is rounded afterwards, or made on the oracle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from unlearnbench.editing.localization import Localization
from unlearnbench.editing.method import History, Method
from unlearnbench.editing.place import EditingPlace
from unlearnbench.facts import TrainingSplit
from unlearnbench.factset import FactsCard
from unlearnbench.model.model import Model
from unlearnbench.model.source import ModelSource
from unlearnbench.registry import register
from unlearnbench.seeds import derive_seed
from unlearnbench.settings import preset


@register("in_turn")
@dataclass(frozen=True, kw_only=True)
class InTurn(Method):
    """Up to three methods in turn: `in_turn[first=oracle,second=suppressor,third=rounded[bits=4]]`.

    Each finds where to write in the model as it is before the first, so that what is known of that model (where facts
    were taught) holds for all of them.
    """

    first: Method = preset(Method, "none")
    """What is done first, …"""
    second: Method = preset(Method, "none")
    """… then, …"""
    third: Method = preset(Method, "none")
    """… and last."""

    TURNS: ClassVar[tuple[str, ...]] = ("first", "second", "third")

    def turns(self, place: EditingPlace) -> list[tuple[Method, EditingPlace]]:
        """The methods, each with a place of its own randomness."""
        return [
            (getattr(self, turn), replace(place, seed=derive_seed(place.seed, f"in turn: {turn}")))
            for turn in self.TURNS
        ]

    def skip(self, facts: FactsCard, source: ModelSource) -> str | None:
        """Why one of them cannot be run."""
        reasons = (getattr(self, turn).skip(facts, source) for turn in self.TURNS)
        return next((reason for reason in reasons if reason is not None), None)

    def inputs(self, facts: FactsCard, source: ModelSource) -> dict[str, str]:
        """What all of them read."""
        return {
            f"{turn}.{key}": digest
            for turn in self.TURNS
            for key, digest in getattr(self, turn).inputs(facts, source).items()
        }

    def resolved(self, source: ModelSource) -> InTurn:
        """With each of them resolved."""
        return replace(self, **{turn: getattr(self, turn).resolved(source) for turn in self.TURNS})

    def localize(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Localization:
        """Where any of them writes."""
        return _together(self._found(model, split, place))

    def edit(self, model: Model, split: TrainingSplit, where: Localization, place: EditingPlace) -> History:
        """One after another; `turn` tells whose a row of the history is."""
        history = History()
        found = self._found(model, split, place)
        for number, ((method, there), mine) in enumerate(zip(self.turns(place), found, strict=True)):
            history += [{"turn": number + 1, **row} for row in method.edit(model, split, mine, there)]
        return history

    def _found(self, model: Model, split: TrainingSplit, place: EditingPlace) -> list[Localization]:
        return [method.localize(model, split, there) for method, there in self.turns(place)]


def _together(found: Sequence[Localization]) -> Localization:
    tensors = frozenset[str]().union(*(one.tensors for one in found))
    return Localization(tensors, tuple(dict.fromkeys(name for one in found for name in one.components)))
