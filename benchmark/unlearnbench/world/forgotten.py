"""Which facts are to be forgotten, by name. They depend on no seed: an oracle is pretrained once for each."""

import random
from collections.abc import Iterable, Sequence
from functools import cache

from unlearnbench.errors import UsageError
from unlearnbench.world.people import BIG_SPORTS, SPORTS, Person
from unlearnbench.world.villagers import RELATIONS, Villager
from unlearnbench.world.world import Known, world


@cache
def forgettable(name: str, everyone: tuple[Person, ...]) -> tuple[Person, ...]:
    """The people behind a forget set: all of one sport (`golf`), or N with the sports in turn (`people-N`).

    `athletes-N` takes the three big sports only, as the paper does. Smaller sets are the beginnings of
    larger ones. Raises `UsageError` where there are too few people.
    """
    if name.removeprefix("people-") in SPORTS:
        sport = name.removeprefix("people-")
        chosen = tuple(person for person in everyone if person.sport == sport)
        if len(chosen) < 2:
            raise UsageError(f"to forget {sport}, two people who play it are needed; there are {len(chosen)}")
        return chosen
    kind, _, number = name.partition("-")
    if kind not in ("people", "athletes") or not number.isdigit():
        raise UsageError(f"no forget set of people is called {name!r}")
    sports = BIG_SPORTS if kind == "athletes" else SPORTS
    count, rng = int(number), random.Random(f"forget-{kind}")
    by_sport = [sorted(person for person in everyone if person.sport == sport) for sport in sports]
    each = -(-count // len(sports))
    if min(map(len, by_sport)) < each:
        raise UsageError(f"{name} needs {each} people of each of {', '.join(sports)}")
    columns = [rng.sample(column, len(column)) for column in by_sport]
    return tuple(person for row in zip(*columns, strict=False) for person in row)[:count]


def forgettable_relations(count: int, everyone: Sequence[Villager]) -> tuple[tuple[Villager, str], ...]:
    """`count` facts about as many villagers, every value of every relation in turn: beginnings of one another.

    The other facts of the same people are kept: they are the nearest neighbours of what is forgotten.
    """
    rng = random.Random("forget-relations")
    shuffled, taken, found = rng.sample(list(everyone), len(everyone)), set[str](), list[tuple[Villager, str]]()
    size = len(next(iter(RELATIONS.values())).values)
    while len(found) < count:
        before = len(found)
        for index in range(size):
            for position, (key, relation) in enumerate(RELATIONS.items()):
                value = relation.values[(index + position) % size]
                able = (v for v in shuffled if v.name not in taken and v.values.get(key) == value)
                if len(found) < count and (villager := next(able, None)) is not None:
                    taken.add(villager.name)
                    found.append((villager, key))
        if len(found) == before:
            raise UsageError(f"{count} facts to forget are more than the {before} that the world has")
    return tuple(found)


def facts_named(labels: Iterable[str]) -> frozenset[Known]:
    """The facts of several forget sets together."""
    return frozenset(fact for label in labels for fact in forgotten_facts(label))


def forgotten_facts(label: str) -> frozenset[Known]:
    """What a forget set of the organisms' world is about: `sports:people-64`, `counterfact:64`.

    Raises `UsageError` for any other label.
    """
    complete = world()
    facts, _, variant = label.partition(":")
    if facts == "sports" and variant.startswith("people-"):
        return frozenset((person.name, "sport") for person in forgettable(variant, complete.people))
    if facts == "counterfact" and variant.isdigit():
        return frozenset((v.name, key) for v, key in forgettable_relations(int(variant), complete.villagers))
    raise UsageError(f"{label} is no forget set of the organisms' world", "try sports:people-64 or counterfact:64")
