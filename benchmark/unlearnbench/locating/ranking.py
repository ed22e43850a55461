"""Localizers that rank components, and take the best up to a budget."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from unlearnbench.editing.localization import Localization
from unlearnbench.editing.localizer import Localizer, Share
from unlearnbench.facts import TrainingSplit
from unlearnbench.locating.contrast import Pairs, pairs_of

if TYPE_CHECKING:
    import torch

    from unlearnbench.editing.place import EditingPlace
    from unlearnbench.model.model import Model

Kind = Literal["mlp", "attention", "all"]


@dataclass(frozen=True, kw_only=True)
class Ranking(Localizer):
    """Scores every component; those that may be chosen are of one kind unless told otherwise."""

    budget: Share = 0.2
    """Share of the weights in the blocks that may be trained."""
    among: Kind = "mlp"
    """Kind of components that are ranked. Within one kind, a localization can be compared with a random one."""

    def localize(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Localization:
        """The best components of the kind, with the scores of all."""
        scores = self.scores(model, split, place)
        able = {name: score for name, score in scores.items() if self.among in (name.partition(".")[0], "all")}
        return Localization.top(model, able, self.budget, scores)

    @abstractmethod
    def scores(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Mapping[str, float]:
        """How much each component matters; must leave the model as it was."""


@dataclass(frozen=True, kw_only=True)
class Contrasting(Ranking):
    """Ranks by what each component does to the answers, between a prompt and the same about somebody else."""

    examples: Annotated[int, Field(ge=1)] = 64
    """Facts to forget that the effects are averaged over, at the most."""
    sign: Literal["absolute", "positive"] = "absolute"
    """`absolute`: effects are made absolute fact by fact before their mean, since signed ones cancel; `positive`: the
    signed mean, so that a component that speaks against the answer comes last."""

    def scores(self, model: Model, split: TrainingSplit, place: EditingPlace) -> dict[str, float]:
        """The mean effect over facts."""
        effects = self.effects(model, pairs_of(model, split, self.examples, place.seed), place)
        return {
            name: (effect.abs() if self.sign == "absolute" else effect).mean().item()
            for name, effect in effects.items()
        }

    @abstractmethod
    def effects(self, model: Model, pairs: Pairs, place: EditingPlace) -> dict[str, torch.Tensor]:
        """What the answer owes to each component [facts]: positive where it speaks for the answer."""
