"""Where a method may write: a set of whole weight tensors, as data."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from unlearnbench.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from unlearnbench.model.model import Component, Model


@dataclass(frozen=True)
class Localization:
    """The tensors that training may change; everything else stays bit-identical."""

    tensors: frozenset[str]
    components: tuple[str, ...]
    """The components these tensors belong to, best first; empty where the choice was not by component."""
    scores: Mapping[str, float] = field(default_factory=dict)
    """How every component scored, for localizers that score."""

    @classmethod
    def everywhere(cls, model: Model) -> Localization:
        """Every parameter of the model: blocks, embeddings and norms."""
        return cls(frozenset(model.parameters), tuple(model.components) if model.has_components else ())

    @classmethod
    def nowhere(cls) -> Localization:
        """Nothing is trained."""
        return cls(frozenset(), ())

    @classmethod
    def of(cls, model: Model, components: Iterable[str], scores: Mapping[str, float] | None = None) -> Localization:
        """All tensors of these components."""
        chosen = tuple(components)
        tensors = frozenset(name for c in chosen for name in model.places[c].parameters)
        return cls(tensors, chosen, dict(scores or {}))

    @classmethod
    def named(cls, model: Model, word: str, besides: Sequence[str] = ()) -> Localization:
        """The places of a word: `mlp.2`, `mlp.2+mlp.3`, `embeddings`.

        Raises `UnknownName` for one that is not there; it tells what is, and what the caller knows `besides`.
        """
        names = word.split("+")
        for name in names:
            if name not in model.places:
                raise UnknownName("component", name, [*model.places, *besides])
        return cls.of(model, names)

    @classmethod
    def top(
        cls,
        model: Model,
        scores: Mapping[str, float],
        budget: float,
        shown: Mapping[str, float] | None = None,
        parts: Mapping[str, Component] | None = None,
    ) -> Localization:
        """The best-scored components whose weights come nearest to `budget`, a share of the weights in the blocks.

        Components are taken whole, from the best downwards, as long as half of the next one fits: none is passed over
        for a worse one that is smaller, and the last may exceed the budget by less than half of itself.
        `shown` are the scores of all components, where `scores` has only those that may be chosen; `parts` are what is
        chosen among instead of components.
        Raises `UsageError` where not even half of the best component fits.
        """
        allowed = budget * model.block_size
        able = model.components if parts is None else parts
        sizes = {name: able[name].size for name in scores}
        ranking = sorted(scores, key=lambda name: (-scores[name], name))
        chosen, used = list[str](), 0
        for name in ranking:
            if used + sizes[name] / 2 > allowed:
                break
            chosen.append(name)
            used += sizes[name]
        if not chosen:
            best = ranking[0]
            raise UsageError(
                f"a budget of {budget:g} is {int(allowed):,} of {model.block_size:,} block weights, but the"
                f" best component ({best}) has {sizes[best]:,}, and half of it does not fit",
                f"the smallest allowed budget is {math.ceil(1e4 * sizes[best] / 2 / model.block_size) / 1e4:g}",
            )
        tensors = frozenset(tensor for name in chosen for tensor in able[name].parameters)
        return cls(tensors, tuple(chosen) if able is model.components else (), dict(shown or scores))

    @classmethod
    def random(cls, model: Model, among: Iterable[str], budget: float, seed: int) -> Localization:
        """Components drawn at random up to the budget; a function of the seed."""
        rng = random.Random(seed)
        return cls.top(model, {name: rng.random() for name in sorted(among)}, budget)

    def overlap(self, other: Localization) -> float:
        """Jaccard similarity of the two sets of tensors, from 0 to 1."""
        union = self.tensors | other.tensors
        return len(self.tensors & other.tensors) / len(union) if union else 1.0
