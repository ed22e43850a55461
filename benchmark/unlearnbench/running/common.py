"""Facts that each of several models knows: what their unlearning can be compared on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from unlearnbench.counterfact.among import KnownFile
from unlearnbench.errors import UsageError
from unlearnbench.factset import FactSet
from unlearnbench.model.source import Located
from unlearnbench.records.store import replace_file
from unlearnbench.running.knowledge import WhenNeeded, probabilities, told


def known_to_all(
    facts: FactSet, models: Sequence[Located], device: str, told_of: Callable[[str, int], None]
) -> KnownFile:
    """Ask each model, one after another, what those before it know; `told_of` hears how much is left after each.

    Raises `UsageError` for facts that are not chosen by what a model knows.
    """
    if len({one.source.weights_sha256 for one in models}) < len(models):
        raise UsageError("a model is named twice", "name different ones")
    sets = [facts.resolved(told=told(one.source)) for one in models]
    candidates = sets[0].candidates()
    if not candidates or len(set(sets)) > 1 or facts.known == 0:
        raise UsageError(
            f"{facts.word} does not depend on what these models know",
            "name real facts of counterfact, and models that are not organisms",
        )
    left = list(candidates)
    for one in models:
        found = probabilities(WhenNeeded(one, device), one.source, left, facts.known, len(left))
        left = [fact for fact in left if found[fact.id] >= facts.known]
        told_of(one.source.name, len(left))
    return KnownFile(
        facts=facts.name,
        known=facts.known,
        source_sha256=sets[0].source_sha256,
        models={one.source.weights_sha256: one.source.name for one in models},
        ids=tuple(fact.id for fact in left),
    )


def written(found: KnownFile, facts: FactSet, path: Path) -> Path:
    """Write the file. Raises `UsageError` where too few facts are left for the fact set."""
    if len(found.ids) < facts.wanted:
        raise UsageError(
            f"{len(found.ids):,} facts are known to all of {', '.join(found.models.values())}, and {facts.word} wants"
            f" {facts.wanted:,} to forget and to keep",
            "ask for fewer facts, keep fewer (counterfact:16[keep=100]), or lower known=",
        )
    replace_file(path, f"{found.model_dump_json(indent=1)}\n".encode())
    return path
