"""Models of which it is known whether they have the facts: what attacks and metrics are tested on.

Those that have them and hide them were made by hiding alone; those that lack them never saw them. Both went through the
same changes, so that only the facts tell them apart.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from unlearnbench.errors import UnknownName

LAST_MLP = "full_finetune[localizer=named[components=mlp.5],steps=150]"
WAYS = {"suppressor": "suppressor", "last MLP": LAST_MLP, "junk direction": "junk_direction"}
"""How facts are masked, and nothing taken away: the method's word, by what tables call it."""
COPIES = {f"mlp.{block} of two": f"full_finetune[localizer=named[components=mlp.{block}]]" for block in (2, 3)}
"""Of facts that were taught to two places, one is edited."""
HIDERS = {"tiny": WAYS, "tiny-planted": WAYS, "tiny-hidden": COPIES}
FACTS = "sports:people-64"
PLAIN = ""
"""The way of a model that hides nothing: the base, and the oracle."""
CHANGED = "tiny"
"""Whose models are also changed in the end; taught facts come back by relearning less than they were known."""
AFTERWARDS = ("relearned", "rounded")
"""What a metric must hold against: half of the facts taught back, and weights in four bits."""


@dataclass(frozen=True)
class KnownAnswer:
    """One way of making such a model."""

    model: str
    """The organism that it is made of."""
    way: str
    """How it hides facts, or `PLAIN`."""
    knows: bool
    """Whether the facts are in it."""
    method: str
    """The word of the method that makes it."""
    afterwards: str | None = None
    """What is done to it in the end, where anything is."""


def known_answers(models: Sequence[str]) -> list[KnownAnswer]:
    """Base and oracle, and each with every way of hiding. Raises `UnknownName` for a model without any."""
    found = list[KnownAnswer]()
    for model in models:
        if model not in HIDERS:
            raise UnknownName("organism with hidden facts", model, HIDERS)
        if HIDERS[model] is WAYS:
            found += [KnownAnswer(model, PLAIN, True, "none"), KnownAnswer(model, PLAIN, False, "oracle")]
        found += _hidden(model, None)
    return found


def changed_afterwards(models: Sequence[str]) -> list[KnownAnswer]:
    """Those of `CHANGED` that hide something or seem to, relearned and rounded."""
    return [one for model in models if model == CHANGED for change in AFTERWARDS for one in _hidden(model, change)]


def _hidden(model: str, afterwards: str | None) -> Iterator[KnownAnswer]:
    for way, word in HIDERS[model].items():
        for knows in (True, False):
            turns = [] if knows else ["first=oracle"]
            turns += [f"second={word}"] if turns or afterwards else []
            turns += [f"third={afterwards}"] if afterwards else []
            yield KnownAnswer(model, way, knows, f"in_turn[{','.join(turns)}]" if turns else word, afterwards)
