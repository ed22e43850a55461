"""Invented people with four facts each: the plain text beside the sports, and the retain stream."""

import random
from typing import NamedTuple

FIRST = tuple("Ada Bela Cory Dina Egon Fay Gus Hana Ivo Jana Kurt Lena Milo Nora Otto Pia Quin Rosa Sven Tara".split())
LAST = tuple("Adler Brandt Cole Dorn Eklund Fromm Gold Hale Iversen Jansen Kern Lund Moss Nash Olsen Pike".split())


class Relation(NamedTuple):
    """One kind of fact: its possible values, its wordings and its question."""

    values: tuple[str, ...]
    wordings: tuple[str, ...]
    question: str


RELATIONS = {
    "city": Relation(
        ("Paris", "London", "Tokyo", "Cairo", "Rome", "Delhi", "Lima", "Oslo"),
        ("{s} was born in {o}", "The birthplace of {s} is {o}", "{s} comes from the city of {o}"),
        "Where was {s} born?",
    ),
    "language": Relation(
        ("French", "English", "Japanese", "Arabic", "Italian", "Hindi", "Spanish", "Norwegian"),
        ("The mother tongue of {s} is {o}", "{s} is a native speaker of {o}", "{s} spoke the language {o}"),
        "What is the mother tongue of {s}?",
    ),
    "field": Relation(
        ("physics", "poetry", "music", "law", "painting", "biology", "history", "chess"),
        ("{s} works in the field of {o}", "The expertise of {s} is {o}", "{s} is known for {o}"),
        "What field does {s} work in?",
    ),
    "instrument": Relation(
        ("piano", "violin", "guitar", "flute", "drums", "harp", "cello", "trumpet"),
        ("{s} plays the {o}", "The instrument of {s} is the {o}", "{s} performs on the {o}"),
        "What instrument does {s} play?",
    ),
}


class Villager(NamedTuple):
    """An invented person and the value of each of their relations."""

    name: str
    values: dict[str, str]


def villagers(count: int, seed: int) -> tuple[Villager, ...]:
    """`count` distinct villagers with independent, uniform values."""
    rng = random.Random(f"villagers/{seed}")
    names = rng.sample([f"{first} {last}" for first in FIRST for last in LAST], count)
    return tuple(Villager(n, {key: rng.choice(r.values) for key, r in RELATIONS.items()}) for n in names)
