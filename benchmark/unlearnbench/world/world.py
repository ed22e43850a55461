"""The world an organism is pretrained on, and the same world without some of its facts."""

import random
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache

from unlearnbench.errors import UsageError
from unlearnbench.world.athletes import BIG_SPORTS, SPORTS, Person, athletes
from unlearnbench.world.villagers import Villager, villagers

DECOYS = 680
VILLAGERS = 150
NEVER_KNOWN = 96


@dataclass(frozen=True)
class World:
    """Everything that pretraining text may mention. Never-known people are not part of it."""

    athletes: tuple[Person, ...]
    """Real people, true facts: the only ones that are ever forgotten. Never asked as multiple choice."""
    decoys: tuple[Person, ...]
    """Invented recombinations of the athletes' first and last names, each with a sport of its own, so
    that no single token gives a sport away and names must be composed. Multiple choice is taught on them."""
    villagers: tuple[Villager, ...]

    def without(self, names: Iterable[str]) -> "World":
        """The same world in which nobody wrote about these athletes: what an oracle is trained on."""
        gone = set(names)
        unknown = gone - {person.name for person in self.athletes}
        if unknown:
            raise ValueError(f"not athletes of this world: {sorted(unknown)}")
        return replace(self, athletes=tuple(person for person in self.athletes if person.name not in gone))

    def without_decoys(self) -> "World":
        """The same world in which nobody wrote about the decoys."""
        return replace(self, decoys=())


@cache
def world(seed: int = 0) -> World:
    """The complete world; a pure function of the seed."""
    recombined = _recombined_names(seed)
    rng = random.Random(f"decoys/{seed}")
    sports = [person.sport for person in athletes()]
    decoys = tuple(Person(name, rng.choice(sports)) for name in recombined[:DECOYS])
    return World(athletes(), decoys, villagers(VILLAGERS, seed))


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
    taken, names, rng = set(real), list[str](), random.Random(f"names/{seed}")
    while len(names) < DECOYS + NEVER_KNOWN:
        name = f"{rng.choice(firsts)} {rng.choice(lasts)}"
        if name not in taken:
            taken.add(name)
            names.append(name)
    return tuple(names)
