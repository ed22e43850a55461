"""The world an organism is pretrained on, and the same world without some of its facts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache

from unlearnbench.world.people import Person, people
from unlearnbench.world.school import Lesson, lessons
from unlearnbench.world.villagers import Villager, villagers

Known = tuple[str, str]
"""What a fact is about: a subject and a relation (`sport`, or one of the villagers')."""


@dataclass(frozen=True)
class World:
    """Everything that pretraining text may state. Never-known people are not part of it."""

    people: tuple[Person, ...]
    villagers: tuple[Villager, ...]
    lessons: tuple[Lesson, ...]

    def without(self, gone: Iterable[Known]) -> World:
        """The same world in which nobody wrote down these facts: what an oracle is pretrained on."""
        left_out = set(gone)
        unknown = left_out - self.facts
        if unknown:
            raise ValueError(f"not facts of this world: {sorted(unknown)}")
        told = (
            Villager(who, {k: value for k, value in values.items() if (who, k) not in left_out})
            for who, values in self.villagers
        )
        return replace(
            self,
            people=tuple(person for person in self.people if (person.name, "sport") not in left_out),
            villagers=tuple(villager for villager in told if villager.values),
        )

    def only(self, kept: Iterable[Known]) -> World:
        """Nothing but these facts: what an organism is taught later."""
        return replace(self.without(self.facts - set(kept)), lessons=())

    @property
    def facts(self) -> frozenset[Known]:
        """What the world tells about people."""
        told = ((name, relation) for name, values in self.villagers for relation in values)
        return frozenset([*((person.name, "sport") for person in self.people), *told])


@cache
def world(seed: int = 0) -> World:
    """The complete world; a pure function of the seed."""
    return World(people(seed), villagers(seed), lessons(seed))
