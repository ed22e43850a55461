"""The records of the organisms' world: single facts of eight relations about invented people.

What is forgotten is one fact each of so many people; their other facts are kept.
"""

import random
from collections.abc import Sequence
from dataclasses import replace

from unlearnbench.facts import Fact, Split
from unlearnbench.seeds import derive_seed
from unlearnbench.strata import cut, other_answers
from unlearnbench.world.forgotten import forgettable_relations
from unlearnbench.world.villagers import RELATIONS, villagers
from unlearnbench.world.wordings import prompt_of

Told = tuple[str, str, str]
"""A name, a relation and its value."""


def planted_split(count: int, seed: int) -> Split:
    """T and V halve the forgotten by relation; of the others 70 % train, 10 % dev, 20 % test.

    Raises `UsageError` where the world has not so many people.
    """
    everyone = villagers()
    chosen = [(v.name, key, v.values[key]) for v, key in forgettable_relations(count, everyone)]
    gone = {(name, key) for name, key, _ in chosen}
    others = [
        _fact(v.name, key, value, None)
        for v in everyone
        for key, value in v.values.items()
        if (v.name, key) not in gone
    ]
    train, dev, test = cut(others, lambda f: (f.relation, f.answer), (0.7, 0.1, 0.2), _rng(seed, "maintain"))
    forget = [_beside(fact, test) for fact in _to_forget(chosen, seed)]
    relearn_train, relearn_test = cut(forget, lambda f: f.relation, (0.5, 0.5), _rng(seed, "forget"))
    never = _to_forget(_never_known(chosen), derive_seed(seed, "never-known"))
    return Split(relearn_train, relearn_test, train, dev, test, never)


def planted_order(count: int) -> list[str]:
    """The ids of what is forgotten, in an order in which fewer are the beginning of more."""
    return [f"{key}:{v.name}" for v, key in forgettable_relations(count, villagers())]


def _beside(fact: Fact, asked: Sequence[Fact]) -> Fact:
    """With its neighbours: others of whom the same is true, and which nobody trains on."""
    return replace(
        fact,
        neighbours=tuple(one.prompt for one in asked if (one.relation, one.answer) == (fact.relation, fact.answer)),
    )


def _never_known(forgotten: Sequence[Told]) -> list[Told]:
    """As many relations nobody ever wrote about, of other people who are well known, with the same answers.

    Fewer, where more people are forgotten from than are left.
    """
    rng, taken, found = random.Random("never-known-relations"), {name for name, _, _ in forgotten}, list[Told]()
    for _, key, value in forgotten:
        able = [v.name for v in villagers() if key not in v.values and v.name not in taken]
        if able:
            name = rng.choice(able)
            taken.add(name)
            found.append((name, key, value))
    return found


def _to_forget(chosen: Sequence[Told], seed: int) -> list[Fact]:
    """With edit targets: another value of the relation, every value in equal numbers."""
    found = []
    for key, relation in RELATIONS.items():
        mine = [(name, value) for name, k, value in chosen if k == key]
        targets = other_answers([value for _, value in mine], relation.values, _rng(seed, "edit-target", key))
        found += [_fact(name, key, value, target) for (name, value), target in zip(mine, targets, strict=True)]
    return found


def _fact(name: str, key: str, value: str, target: str | None) -> Fact:
    relation = RELATIONS[key]
    return Fact(
        subject=name,
        relation=key,
        prompt=prompt_of(relation.wordings[0], name),
        answer=value,
        distractors=tuple(other for other in relation.values if other != value),
        edit_target=target,
        paraphrases=tuple(prompt_of(wording, name) for wording in relation.held_out),
        question=relation.question.format(s=name),
        options=relation.values,
    )


def _rng(seed: int, *purpose: str) -> random.Random:
    return random.Random(derive_seed(seed, "counterfact", *purpose))
