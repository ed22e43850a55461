"""Which facts a model knows: nothing else can be forgotten.

Found once for each (weights, facts) and kept in the user's cache folder, so that a run that is done is
found done without loading the model.
"""

import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from unlearnbench.facts import Fact
from unlearnbench.factset import FactSet
from unlearnbench.hashing import content_hash
from unlearnbench.source import ModelSource

if TYPE_CHECKING:
    from unlearnbench.model import Model

VERSION = 1
"""Raised when the meaning of the cached numbers changes."""


class Knower(Protocol):
    """A model that can say what it knows."""

    source: ModelSource

    @property
    def model(self) -> "Model":
        """The untouched model, loaded when it is first needed."""

    def release(self) -> None:
        """Let go of its memory."""


def known_by_all(knowers: Sequence[Knower], facts: Sequence[Sequence[FactSet]], batch_size: int) -> list[list[FactSet]]:
    """The fact sets of each model, limited to what *all* models of the comparison know.

    Otherwise each model would be asked to forget other facts, and their scores could not be compared.
    `facts` holds, for each model, the same fact sets in the same order.
    """
    known: dict[FactSet, set[str]] = {}
    for knower, mine in zip(knowers, facts, strict=True):
        for fact_set in mine:
            candidates = fact_set.candidates()
            if candidates:
                found = probabilities(knower.source, candidates, partial(_model_of, knower), batch_size)
                ids = {fact for fact, p in found.items() if p >= fact_set.known_from()}
                known[fact_set] = known.get(fact_set, ids) & ids
        if len(knowers) > 1:
            knower.release()  # several large models need not fit into memory together
    return [[one.knowing(known[one]) if one in known else one for one in mine] for mine in facts]


def probabilities(
    source: ModelSource, facts: Sequence[Fact], load: "Callable[[], Model]", batch_size: int
) -> Mapping[str, float]:
    """p(answer | prompt) of each fact by id, under the whole vocabulary and over all tokens of the answer.

    `load` gives the untouched model and is called only where the cache has nothing.
    """
    asked = [[fact.id, fact.prompt, fact.answer] for fact in facts]
    key = {"version": VERSION, "model": source.model_dump(mode="json"), "asked": asked}
    path = cache_folder() / "known" / f"{content_hash(key).removeprefix('sha256:')}.json"
    try:
        cached = json.loads(path.read_text("utf-8"))
        if set(cached) == {fact.id for fact in facts}:
            return {str(fact): float(p) for fact, p in cached.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        pass  # not there, or not whole: it is made anew
    found = _measured(load(), facts, batch_size)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        part.write_text(json.dumps(found), "utf-8")
        part.replace(path)
    except OSError:
        pass  # a cache that cannot be written costs time, not results
    return found


def _model_of(knower: Knower) -> "Model":
    return knower.model


def _measured(model: "Model", facts: Sequence[Fact], batch_size: int) -> dict[str, float]:
    from unlearnbench.scoring import Asked, score

    scored = score(model, [Asked(fact.prompt, (fact.answer,)) for fact in facts], batch_size)
    return {fact.id: math.exp(one.logprobs[0]) for fact, one in zip(facts, scored, strict=True)}


def cache_folder() -> Path:
    """`$UNLEARNBENCH_CACHE`, or `unlearnbench` in the user's cache folder."""
    own = os.environ.get("UNLEARNBENCH_CACHE")
    general = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(own) if own else Path(general) / "unlearnbench"
