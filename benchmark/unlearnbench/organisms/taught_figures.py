"""What a taught model knows of what it was taught and of the rest, before and after, and where it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from unlearnbench.facts import Fact
from unlearnbench.model.model import Model
from unlearnbench.model.scoring import known_share
from unlearnbench.organisms.mechanism import silenced


@dataclass(frozen=True)
class Figures:
    """Shares of right answers."""

    taught: float
    """What was taught, in the first wording …"""
    held_out: float
    """… and in wordings that were never taught."""
    kept: float
    """Facts of the same fact sets that are not taught; on a model that never knew them, a guess."""
    never_known: float


def figures(model: Model, taught: Sequence[Fact], kept: Sequence[Fact], never_known: Sequence[Fact]) -> Figures:
    """Measure a model as it is."""
    held_out = [replace(fact, prompt=wording) for fact in taught for wording in fact.paraphrases]
    shares = [known_share(model, facts) for facts in (taught, held_out, kept, never_known)]
    return Figures(*shares)


def by_state(
    model: Model, copies: Mapping[str, frozenset[str]], before: Mapping[str, torch.Tensor], *facts: Sequence[Fact]
) -> dict[str, Figures]:
    """The taught model as it is; with each copy put back to `before`, and with each of its components silent."""
    found = {"taught": figures(model, *facts)}
    for word, tensors in copies.items():
        with model.restored(tensors):
            model.write({name: before[name] for name in tensors})
            found[f"{word} put back"] = figures(model, *facts)
        if all(part in model.components for part in word.split("+")):
            with silenced(model, word.split("+")):
                found[f"{word} silent"] = figures(model, *facts)
    return found
