"""Which of many facts a model knows: no others can be forgotten.

Found once for each (weights, facts) and kept in the user's cache folder, so that a run that is done is found done
without loading the model.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from unlearnbench.editing.moments import cache_folder
from unlearnbench.facts import Fact
from unlearnbench.factset import FactSet
from unlearnbench.hashing import content_hash
from unlearnbench.model.loading import load
from unlearnbench.model.scoring import score_directly
from unlearnbench.model.source import Located, ModelSource
from unlearnbench.records.store import replace_file

if TYPE_CHECKING:
    from unlearnbench.model.model import Model

TOGETHER = 512
"""Facts that are asked before it is looked whether there are enough."""
VERSION = 1
"""Raised when the meaning of the cached numbers changes."""


def informed(facts: FactSet, located: Located, device: str = "cpu") -> FactSet:
    """Facts that suit the model: from where it was told of them, and those that it knows.

    Raises `UsageError` as the fact set does where it is resolved, `MissingPrerequisite` where its files or the model
    cannot be had.
    """
    source = located.source
    facts = facts.resolved(told=told(source))
    candidates = facts.candidates() if facts.known > 0 else ()
    if not candidates:
        return facts
    found = probabilities(WhenNeeded(located, device), source, candidates, facts.known, facts.wanted)
    return facts.knowing([fact for fact, p in found.items() if p >= facts.known])


def told(source: ModelSource) -> Collection[str]:
    """The forget sets of the organisms' world that a model was told of; `world` is all of it."""
    return ("world",) if source.kind == "organism" else source.taught


class WhenNeeded:
    """A model that is loaded when it is first needed."""

    def __init__(self, located: Located, device: str) -> None:
        self._located, self._device = located, device
        self._model: Model | None = None

    def __call__(self) -> Model:
        self._model = self._model or load(self._located, self._device)
        return self._model


def probabilities(
    model: WhenNeeded, source: ModelSource, facts: Sequence[Fact], least: float, enough: int
) -> Mapping[str, float]:
    """p(answer | prompt) of facts by id, under the whole vocabulary and over all tokens of the answer.

    They are asked in their order, until `enough` have at least the probability `least`.
    """
    asked = [[fact.id, fact.prompt, fact.answer] for fact in facts]
    about = {"version": VERSION, "model": source.model_dump(mode="json"), "least": least, "enough": enough}
    key = content_hash({**about, "together": TOGETHER, "asked": asked}).removeprefix("sha256:")
    path = cache_folder() / "known" / f"{key}.json"
    with suppress(OSError, ValueError, AttributeError, TypeError):  # not there, or not whole: it is made anew
        return {str(fact): float(p) for fact, p in json.loads(path.read_text("utf-8")).items()}
    found: dict[str, float] = {}
    for start in range(0, len(facts), TOGETHER):
        batch = facts[start : start + TOGETHER]
        scored = score_directly(model(), batch)
        found |= {fact.id: math.exp(one.logprobs[0]) for fact, one in zip(batch, scored, strict=True)}
        if sum(p >= least for p in found.values()) >= enough:
            break
    with suppress(OSError):  # a cache that cannot be written costs time, and no results
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, json.dumps(found).encode())
    return found
