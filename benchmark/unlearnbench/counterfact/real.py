"""Splits of the real records: which are forgotten, which are kept, and which neighbours may be asked."""

import random
from collections.abc import Collection, Sequence
from dataclasses import replace

from unlearnbench.counterfact.facts import Converted, twins
from unlearnbench.errors import UsageError
from unlearnbench.facts import Fact, Split
from unlearnbench.seeds import derive_seed
from unlearnbench.strata import cut

FEWEST_KEPT = 20


def in_order(facts: Sequence[Fact]) -> list[Fact]:
    """Shuffled once for all, since rows of one relation lie together.

    The order of two facts never depends on which others there are: a smaller set is the beginning of a larger one, and
    stays it when facts that a model does not know drop out.
    """
    return sorted(facts, key=lambda fact: (derive_seed(0, "forget-counterfact", fact.id), fact.id))


def real_split(source: Converted, known: Collection[str] | None, count: int, keep: int, seed: int) -> Split:
    """The first `count` of the known facts are forgotten, and `keep` more are kept: 70 % train, 10 % dev, 20 % test.

    `known` are the ids of facts that the model knows; None takes all. Which facts are forgotten does not depend on
    the seed; T, V and what is kept for what do. Raises `UsageError` where too few are left to keep.
    """
    facts = [fact for fact in in_order(source.facts) if known is None or fact.id in known]
    forget, others = facts[:count], facts[count : count + keep]
    if len(forget) < count or len(others) < FEWEST_KEPT:
        steps = ", ".join(f"{number:,} {what.replace('_', ' ')}" for what, number in source.counts.items())
        most = len(facts) - FEWEST_KEPT
        raise UsageError(
            f"of {len(facts)} facts that can be used, {max(0, len(facts) - count)} would be left to keep, and"
            f" {FEWEST_KEPT} are needed ({steps}{'' if known is None else f', {len(facts):,} known'})",
            f"the largest forget set here is counterfact:{most}" if most > 1 else "give a larger file",
        )
    train, dev, test = cut(others, lambda f: f.relation, (0.7, 0.1, 0.2), _rng(seed, "maintain"))
    clean = _without_taken_neighbours(forget, [*train, *dev])
    relearn_train, relearn_test = cut(clean, lambda f: f.relation, (0.5, 0.5), _rng(seed, "forget"))
    never = twins([*relearn_train, *relearn_test], source.facts, source.names)
    return Split(relearn_train, relearn_test, _kept(train), _kept(dev), _kept(test), never)


def _kept(facts: Sequence[Fact]) -> list[Fact]:
    """Facts to keep have no edit target."""
    return [replace(fact, edit_target=None) for fact in facts]


def _without_taken_neighbours(forget: Sequence[Fact], trained: Sequence[Fact]) -> list[Fact]:
    """The facts to forget without neighbours that are themselves forgotten, trained on or tuned on.

    Such a one would measure that instead. Whoever of the same relation is named in it counts, in whatever wording.
    """
    taken: dict[str, list[str]] = {}
    for fact in (*forget, *trained):
        taken.setdefault(fact.relation, []).append(fact.subject)
    prompts = {fact.prompt for fact in (*forget, *trained)}
    return [
        replace(
            fact,
            neighbours=tuple(
                prompt
                for prompt in fact.neighbours
                if prompt not in prompts and not any(subject in prompt for subject in taken[fact.relation])
            ),
        )
        for fact in forget
    ]


def _rng(seed: int, purpose: str) -> random.Random:
    return random.Random(derive_seed(seed, "counterfact", purpose))
