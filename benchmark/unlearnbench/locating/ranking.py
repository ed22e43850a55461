"""Localizers that rank components, and take the best up to a budget."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from unlearnbench.editing.localization import Localization
from unlearnbench.editing.localizer import Localizer, Share
from unlearnbench.errors import UsageError
from unlearnbench.facts import TrainingSplit
from unlearnbench.locating.contrast import Pairs, pairs_of
from unlearnbench.locating.sites import Heads, Modules, Sites
from unlearnbench.model.matrices import matrices_of

if TYPE_CHECKING:
    import torch

    from unlearnbench.editing.place import EditingPlace
    from unlearnbench.model.model import Component, Model

Kind = Literal["mlp", "attention", "all"]
Grain = Literal["component", "head", "matrix"]


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
        able = {name: score for name, score in scores.items() if self.ranks(name)}
        return self.chosen(model, able, scores, self.parts(model))

    def ranks(self, name: str) -> bool:
        """Whether what is called so may be chosen."""
        return self.among in (name.partition(".")[0], "all")

    def parts(self, model: Model) -> Mapping[str, Component]:
        """What is chosen among, as long as it is of the kind."""
        return model.components

    def chosen(
        self,
        model: Model,
        able: Mapping[str, float],
        scores: Mapping[str, float],
        parts: Mapping[str, Component],
    ) -> Localization:
        """The best of those that may be chosen, up to the budget.

        Raises `UsageError` for a budget that takes nothing, or everything.
        """
        where = Localization.top(model, able, self.budget, scores, parts)
        sizes = {name: parts[name].size for name in able}
        if sum(sizes.values()) <= model.size(where.tensors):
            last = sizes[min(able, key=lambda name: able[name])]
            most = (sum(sizes.values()) - last / 2) / model.block_size
            raise UsageError(
                f"{self.name}: a budget of {self.budget:g} takes all {len(able)} that are ranked, so nothing is chosen",
                f"let it be below {math.floor(1000 * most) / 1000:g}, or say all_mlps, all_attention or everything",
            )
        return where

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


@dataclass(frozen=True, kw_only=True)
class Grained(Contrasting):
    """Ranks components, or something finer."""

    granularity: Grain = "component"
    """`component`: attentions and MLPs; `matrix`: their single matrices, which are then chosen one by one; `head`:
    heads of attention, those that share keys and values as one. Tensors are chosen whole, so heads rank their
    attentions, each by its best head."""

    def localize(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Localization:
        """The best up to the budget, with the scores of all."""
        if self.granularity != "head":
            return super().localize(model, split, place)
        scores, best = self.scores(model, split, place), dict[str, float]()
        for name, score in scores.items():
            attention = name.rpartition(".")[0]
            best[attention] = max(score, best.get(attention, score))
        return self.chosen(model, best, {**best, **scores}, self.parts(model))

    def parts(self, model: Model) -> Mapping[str, Component]:
        """Components, or single matrices."""
        return matrices_of(model) if self.granularity == "matrix" else model.components

    def sites(self, model: Model) -> Sites:
        """What is patched."""
        if self.granularity == "head":
            return Heads.of(model)
        return Modules({name: part.path for name, part in self.parts(model).items()})
