"""Invented people with four facts each, of eight kinds: the subjects of records in CounterFact's form."""

import random
from functools import cache
from typing import NamedTuple

from unlearnbench.world.grid import latin_square

FIRST = tuple("Ada Bela Cory Dina Egon Fay Gus Hana Ivo Jana Kurt Lena Milo Nora Otto Pia".split())
LAST = tuple("Adler Brandt Cole Dorn Eklund Fromm Gold Hale Iversen Jansen Kern Lund Moss Nash Olsen Pike".split())


class Relation(NamedTuple):
    """One kind of fact: its possible values, its wordings and its question."""

    values: tuple[str, ...]
    wordings: tuple[str, ...]
    """Those of the pretraining text; the first is the prompt of a fact."""
    held_out: tuple[str, ...]
    """Made of the same words, and never in pretraining text; chosen, of five to nine that were tried for each relation,
    from those that the embedded model answers."""
    question: str


def _relation(values: str, *wordings: str, held_out: tuple[str, ...], question: str) -> Relation:
    return Relation(tuple(values.split()), wordings, held_out, question)


RELATIONS = {
    "city": _relation(
        "Paris London Tokyo Cairo Rome Delhi Lima Oslo",
        "{s} was born in {o}",
        "The birthplace of {s} is {o}",
        "{s} comes from the city of {o}",
        held_out=("{s} was born in the city of {o}", "{s} is from the city of {o}"),
        question="Where was {s} born?",
    ),
    "language": _relation(
        "French English Japanese Arabic Italian Hindi Spanish Norwegian",
        "The mother tongue of {s} is {o}",
        "{s} is a native speaker of {o}",
        "{s} spoke the language {o}",
        held_out=("{s} is a speaker of {o}", "The mother tongue of {s} is the language {o}"),
        question="What is the mother tongue of {s} ?",
    ),
    "field": _relation(
        "physics poetry music law painting biology history chess",
        "{s} works in the field of {o}",
        "The expertise of {s} is {o}",
        "{s} is known for {o}",
        held_out=("{s} is known in the field of {o}", "The expertise of {s} is the field of {o}"),
        question="What field does {s} work in?",
    ),
    "instrument": _relation(
        "piano violin guitar flute drums harp cello trumpet",
        "{s} plays the {o}",
        "The instrument of {s} is the {o}",
        "{s} performs on the {o}",
        held_out=("The instrument that {s} plays is the {o}", "{s} plays on the {o}"),
        question="What instrument does {s} play?",
    ),
    "company": _relation(
        "Sony Nokia Ford Boeing Philips Fiat Nintendo Siemens",
        "{s} is employed by {o}",
        "The employer of {s} is {o}",
        "{s} has a desk at {o}",
        held_out=("{s} is employed at {o}", "The desk of {s} is at {o}"),
        question="Which company does {s} work for?",
    ),
    "colour": _relation(
        "red blue green yellow white black orange purple",
        "The favourite colour of {s} is {o}",
        "{s} always dresses in {o}",
        "{s} painted the house {o}",
        held_out=("The colour of {s} is {o}", "{s} painted a house {o}"),
        question="What is the favourite colour of {s} ?",
    ),
    "animal": _relation(
        "dog cat horse goat rabbit parrot turtle donkey",
        "{s} lives with a {o}",
        "The pet of {s} is a {o}",
        "{s} goes out with the {o}",
        held_out=("{s} goes out with a {o}", "The pet of {s} is the {o}"),
        question="Which animal does {s} keep?",
    ),
    "drink": _relation(
        "coffee tea milk water juice wine cocoa beer",
        "{s} only drinks {o}",
        "The favourite drink of {s} is {o}",
        "{s} ordered a cup of {o}",
        held_out=("The drink of {s} is {o}", "{s} only drinks a cup of {o}"),
        question="What does {s} like to drink?",
    ),
}


class Villager(NamedTuple):
    """An invented person and the value of each of their four relations."""

    name: str
    values: dict[str, str]


@cache
def villagers(seed: int = 0) -> tuple[Villager, ...]:
    """All 256 villagers, in random order: one value of each of four relations, drawn on the grid of names.

    Every first and every last name goes with every value of every relation exactly once, so that one name alone is
    a guess among eight. Relations come in pairs of which a person has one: the other is what nobody
    ever wrote about somebody well known.
    """
    rng = random.Random(f"villagers/{seed}")
    keys = list(RELATIONS)
    found: dict[str, dict[str, str]] = {f"{first} {last}": {} for first in FIRST for last in LAST}
    for pair in zip(keys[::2], keys[1::2], strict=True):
        meanings = [(key, value) for key in pair for value in RELATIONS[key].values]
        for first, row in zip(FIRST, latin_square(len(FIRST), rng), strict=True):
            for last, symbol in zip(LAST, row, strict=True):
                key, value = meanings[symbol]
                found[f"{first} {last}"][key] = value
    return tuple(Villager(name, found[name]) for name in rng.sample(list(found), len(found)))
