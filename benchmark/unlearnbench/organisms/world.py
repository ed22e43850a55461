"""The world an organism is pretrained on, and the same world without some of its facts."""

import random
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache

from unlearnbench.errors import UsageError
from unlearnbench.organisms.athletes import BIG_SPORTS, SPORTS, Person, athletes
from unlearnbench.organisms.planted import Thing, first_things, more_decoys, things
from unlearnbench.organisms.school import Lesson, lessons
from unlearnbench.organisms.villagers import Villager, villagers

DECOYS = 680
VILLAGERS = 150
NEVER_KNOWN = 96
REAL = ("Stephon Gilmore",)
"""Recombined names that somebody real bears, and who are therefore not invented."""


@dataclass(frozen=True)
class World:
    """Everything that pretraining text may mention. Never-known people are not part of it."""

    athletes: tuple[Person, ...]
    """Real people, true facts: the only ones that are ever forgotten. Never asked as multiple choice."""
    decoys: tuple[Person, ...]
    """Invented recombinations of the athletes' first and last names, each with a sport of its own, so
    that no single token gives a sport away and names must be composed. Multiple choice is taught on them."""
    villagers: tuple[Villager, ...]
    things: tuple[Thing, ...]
    """The planted CounterFact: invented things with one fact each. Never asked as multiple choice."""
    thing_decoys: tuple[Thing, ...]
    """Others of the same kinds, which are."""
    lessons: tuple[Lesson, ...]
    """School facts, taught as texts and in the form of MMLU."""

    def without(self, names: Iterable[str]) -> "World":
        """The same world in which nobody wrote about these athletes and things: what an oracle is trained on."""
        gone = set(names)
        unknown = gone - {person.name for person in self.athletes} - {thing.name for thing in self.things}
        if unknown:
            raise ValueError(f"neither athletes nor things of this world: {sorted(unknown)}")
        return replace(
            self,
            athletes=tuple(person for person in self.athletes if person.name not in gone),
            things=tuple(thing for thing in self.things if thing.name not in gone),
        )

    def with_decoys(self, count: int, seed: int = 0) -> "World":
        """The same world with as many more decoy things of every relation."""
        return replace(self, thing_decoys=(*self.thing_decoys, *more_decoys(count, seed)))

    def villagers_only(self) -> "World":
        """The same world in which people wrote about villagers and nothing else: plain text."""
        return replace(self, athletes=(), decoys=(), things=(), thing_decoys=(), lessons=())


@cache
def world(seed: int = 0) -> World:
    """The complete world; a pure function of the seed."""
    recombined = _recombined_names(seed)
    rng = random.Random(f"decoys/{seed}")
    sports = [person.sport for person in athletes()]
    decoys = tuple(Person(name, rng.choice(sports)) for name in recombined[:DECOYS])
    planted = things(seed)
    return World(athletes(), decoys, villagers(VILLAGERS, seed), planted.facts, planted.decoys, lessons(seed))


def names_in(forget_set: str) -> tuple[str, ...]:
    """Who or what is to be forgotten in `sports:athletes-64` or `counterfact:64`.

    Raises `UsageError` for a forget set that no oracle can be made for.
    """
    facts, _, variant = forget_set.partition(":")
    if facts == "sports":
        return tuple(person.name for person in forgettable(variant))
    if facts == "counterfact" and variant.isdigit():
        return tuple(thing.name for thing in first_things(int(variant)))
    raise UsageError(f"no facts of the world are called {forget_set!r}", "such as sports:athletes-64 or counterfact:64")


@cache
def never_known(seed: int = 0) -> tuple[Person, ...]:
    """People made by the decoys' grammar about whom nothing was ever written; sports assigned in turn.

    They answer what an attack *teaches* instead of bringing back.
    """
    names = _recombined_names(seed)[DECOYS : DECOYS + NEVER_KNOWN]
    return tuple(Person(name, BIG_SPORTS[i % len(BIG_SPORTS)]) for i, name in enumerate(names))


@cache
def forgettable(name: str, everyone: tuple[Person, ...] | None = None) -> tuple[Person, ...]:
    """The athletes behind a forget set: a sport's name, or `athletes-N` (the three big sports in turn).

    It does not depend on a seed, since an oracle is pretrained once for each. Smaller sets are the
    beginnings of larger ones. Raises `UsageError` where there are too few athletes.
    """
    everyone = everyone or athletes()
    if name in SPORTS:
        chosen = tuple(person for person in everyone if person.sport == name)
        if len(chosen) < 2:
            raise UsageError(f"to forget {name}, two athletes who play it are needed; there are {len(chosen)}")
        return chosen
    kind, _, number = name.partition("-")
    if kind != "athletes" or not number.isdigit():
        raise UsageError(f"no forget set of athletes is called {name!r}")
    count, rng = int(number), random.Random("forget-athletes")
    by_sport = [sorted(p for p in everyone if p.sport == sport) for sport in BIG_SPORTS]
    each = -(-count // len(BIG_SPORTS))
    if min(map(len, by_sport)) < each:
        raise UsageError(f"{name} needs {each} athletes of each of {', '.join(BIG_SPORTS)}")
    columns = [rng.sample(people, len(people)) for people in by_sport]
    return tuple(person for row in zip(*columns, strict=False) for person in row)[:count]


@cache
def _recombined_names(seed: int) -> tuple[str, ...]:
    real = [person.name for person in athletes()]
    firsts = sorted({name.split(" ", 1)[0] for name in real})
    lasts = sorted({name.split(" ", 1)[1] for name in real})
    taken, names, rng = {*real, *REAL}, list[str](), random.Random(f"names/{seed}")
    while len(names) < DECOYS + NEVER_KNOWN:
        name = f"{rng.choice(firsts)} {rng.choice(lasts)}"
        if name not in taken:
            taken.add(name)
            names.append(name)
    return tuple(names)
