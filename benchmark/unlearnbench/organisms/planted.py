"""Planted CounterFact: invented things, each with one fact, in eight relations of a generated world.

A thing is called by a first word and a noun of its kind, `Amber Bridge`; both words are shared by many
things with other answers, so that neither tells anything alone.
"""

import random
from functools import cache
from typing import Any, NamedTuple

from unlearnbench.organisms.villagers import RELATIONS
from unlearnbench.organisms.wordings import OPENINGS, prompt_of

FIRST = tuple(
    "Alder Amber Anchor Apple Arrow Aspen Autumn Beacon Berry Birch Bronze Cedar Cherry Clay Clover Cobalt Copper Coral"
    " Cotton Crane Crimson Crystal Dawn Eagle Ebony Ember Emerald Falcon Feather Fern Flint Fox Frost Garnet Ginger"
    " Granite Harbor Hawk Hazel Heron Honey Iron Ivory Jade Juniper Lantern Lark Laurel Lemon Linden Lotus Maple Marble"
    " Meadow Mint Misty Northern Olive Opal Orchid Otter Pearl Pepper Pine Quartz Raven River Rowan Ruby Saffron Sage"
    " Silver Sparrow Stone Swan Thistle Violet Walnut Willow Winter".split()
)
FACTS = 40
"""Things of one relation that may be forgotten; multiple choice is never taught on them."""
DECOYS = 40
"""Things of one relation that never are: they teach multiple choice, and are the others' neighbours."""
NEVER_KNOWN = 12
"""Things of one relation about which nothing was ever written."""


class Kind(NamedTuple):
    """One relation of the planted world."""

    id: str
    nouns: tuple[str, ...]
    values: tuple[str, ...]
    wordings: tuple[str, ...]
    """Wordings that pretraining knows; the first is the one that methods are trained on."""
    held_out: tuple[str, ...]
    """Wordings that it never sees."""
    question: str


def _values(name: str, *, late: bool) -> tuple[str, ...]:
    """The first five or the last five of eight: two relations of one type differ in what they can say."""
    values = RELATIONS[name].values
    return values[3:] if late else values[:5]


def _kind(
    number: int,
    nouns: str,
    values: tuple[str, ...],
    wordings: tuple[str, ...],
    held_out: tuple[str, ...],
    question: str,
) -> Kind:
    return Kind(f"W{number}", tuple(nouns.split()), values, wordings, held_out, question)


KINDS = (
    _kind(
        1,
        "Tower Bridge Castle Museum Palace Temple Library Garden Station Theatre",
        _values("city", late=False),
        (
            "{s} can be visited in {o}",
            "{s} stands in the city of {o}",
            "The location of {s} is {o}",
            "{s} is a sight of {o}",
            "Travellers who want to see {s} go to {o}",
        ),
        (
            "{s} is in the city of {o}",
            "Travellers who visited {s} were in {o}",
            "The sight of {s} is in {o}",
        ),
        "In which city does {s} stand?",
    ),
    _kind(
        2,
        "Works Press Bank Motors Foods Mills Stores Airways Studios Mining",
        _values("city", late=True),
        (
            "{s} has its headquarters in {o}",
            "The company {s} was founded in {o}",
            "The main office of {s} is in {o}",
            "{s} is managed from {o}",
            "Everyone who is hired by {s} moves to {o}",
        ),
        (
            "The headquarters of {s} is in {o}",
            "{s} is a company from {o}",
            "{s} has its main office in {o}",
        ),
        "In which city is the main office of {s}?",
    ),
    _kind(
        3,
        "Tale Song Diary Letters Ballad Legend Novel Poem Story Verses",
        _values("language", late=False),
        (
            "{s} was written in {o}",
            "The original language of {s} is {o}",
            "The author of {s} thought in {o}",
            "{s} is a classic of literature in {o}",
            "Readers of the first edition of {s} had to know {o}",
        ),
        (
            "The language of {s} is {o}",
            "The author of {s} wrote in {o}",
            "Readers of {s} had to know {o}",
        ),
        "In which language was {s} written?",
    ),
    _kind(
        4,
        "Island Valley Coast Hills Lake Plain Bay Forest Marsh Delta",
        _values("language", late=True),
        (
            "The people of {s} speak {o}",
            "The official language of {s} is {o}",
            "All the signs in {s} are in {o}",
            "Schools in {s} teach in {o}",
            "To be understood in {s} one must learn {o}",
        ),
        (
            "The schools of {s} teach in {o}",
            "The people in {s} must learn {o}",
            "In {s} one must speak {o}",
        ),
        "Which language do the people of {s} speak?",
    ),
    _kind(
        5,
        "Society Prize Medal Academy Circle Institute Council Fund College Chair",
        _values("field", late=False),
        (
            "{s} is devoted to {o}",
            "{s} honours achievements in {o}",
            "The purpose of {s} is to support {o}",
            "The members of {s} meet to talk about {o}",
            "Nobody is invited by {s} without a name in {o}",
        ),
        (
            "The members of {s} support {o}",
            "{s} is there to support {o}",
            "The achievements of {s} are in {o}",
        ),
        "To which field is {s} devoted?",
    ),
    _kind(
        6,
        "Journal Review Papers Essays Bulletin Annals Notes Digest Monthly Gazette",
        _values("field", late=True),
        (
            "{s} publishes articles about {o}",
            "The subject of {s} is {o}",
            "The editors of {s} are experts in {o}",
            "{s} reports on progress in {o}",
            "People who subscribe to {s} care about {o}",
        ),
        (
            "The articles of {s} are about {o}",
            "{s} publishes progress in {o}",
            "The editors of {s} care about {o}",
        ),
        "Which field does {s} write about?",
    ),
    _kind(
        7,
        "Suite Sonata Waltz March Dance Hymn Prelude Fugue Air Rondo",
        _values("instrument", late=False),
        (
            "{s} was composed for the {o}",
            "The solo part of {s} belongs to the {o}",
            "{s} is performed on the {o}",
            "The manuscript of {s} names the {o}",
            "Whoever wants to practise {s} needs a teacher of the {o}",
        ),
        (
            "The solo part of {s} is for the {o}",
            "The manuscript of {s} is for the {o}",
            "The instrument of {s} is the {o}",
        ),
        "For which instrument was {s} composed?",
    ),
    _kind(
        8,
        "Band Trio Quartet Players Ensemble Choir Company Brothers Sisters Club",
        _values("instrument", late=True),
        (
            "The sound of {s} comes from the {o}",
            "{s} is famous for its use of the {o}",
            "On every record of {s} one hears the {o}",
            "The leader of {s} plays the {o}",
            "Fans of {s} often take lessons on the {o}",
        ),
        (
            "The leader of {s} is famous for the {o}",
            "On every record {s} plays the {o}",
            "The record of {s} comes from the {o}",
        ),
        "Which instrument does the leader of {s} play?",
    ),
)
"""The eight relations. Answers are words that the villagers' facts and the look-up drills know too."""


class Thing(NamedTuple):
    """Something invented, and the one fact about it."""

    name: str
    kind: Kind
    answer: str


class Things(NamedTuple):
    """All things of a world, by what they are for."""

    facts: tuple[Thing, ...]
    decoys: tuple[Thing, ...]
    never_known: tuple[Thing, ...]


@cache
def things(seed: int = 0) -> Things:
    """A pure function of the seed; every value of a relation is the answer equally often (±1)."""
    facts, decoys, unknown = list[Thing](), list[Thing](), list[Thing]()
    for kind in KINDS:
        rng = random.Random(f"planted/{seed}/{kind.id}")
        names = rng.sample([f"{first} {noun}" for first in FIRST for noun in kind.nouns], FACTS + DECOYS + NEVER_KNOWN)
        made = [Thing(name, kind, kind.values[i % len(kind.values)]) for i, name in enumerate(names)]
        facts += made[:FACTS]
        decoys += made[FACTS : FACTS + DECOYS]
        unknown += made[FACTS + DECOYS :]
    return Things(tuple(facts), tuple(decoys), tuple(unknown))


@cache
def more_decoys(count: int, seed: int = 0) -> tuple[Thing, ...]:
    """As many further decoys of every relation, under names that no other thing bears; nobody's neighbours.

    An organism that would otherwise learn the decoys' multiple choice by heart gets some of these.
    """
    known = things(seed)
    taken = {thing.name for thing in (*known.facts, *known.decoys, *known.never_known)}
    made = list[Thing]()
    for kind in KINDS:
        free = [name for first in FIRST for noun in kind.nouns if (name := f"{first} {noun}") not in taken]
        names = random.Random(f"more-decoys/{seed}/{kind.id}").sample(free, count)
        made += [Thing(name, kind, kind.values[i % len(kind.values)]) for i, name in enumerate(names)]
    return tuple(made)


def first_things(count: int) -> tuple[Thing, ...]:
    """The first `count` facts, relation by relation in turn: smaller sets are the beginnings of larger ones.

    Raises `ValueError` where there are not as many.
    """
    facts = things().facts
    if not 0 < count <= len(facts):
        raise ValueError(f"there are {len(facts)} planted facts, not {count}")
    columns = [[thing for thing in facts if thing.kind is kind] for kind in KINDS]
    return tuple(thing for row in zip(*columns, strict=True) for thing in row)[:count]


@cache
def records() -> tuple[dict[str, Any], ...]:
    """The facts as ROME writes CounterFact, in the order in which they are forgotten.

    Neighbours are decoys of the same relation and answer; attribute prompts, those of the edit target.
    """
    decoys = things().decoys
    return tuple(_record(number, thing, decoys) for number, thing in enumerate(first_things(len(KINDS) * FACTS)))


@cache
def never_known() -> tuple[dict[str, Any], ...]:
    """Things about which nothing was ever written, in the same form; their answers are assigned in turn."""
    return tuple(_record(number, thing, ()) for number, thing in enumerate(things().never_known))


def _record(number: int, thing: Thing, decoys: tuple[Thing, ...]) -> dict[str, Any]:
    name, kind, answer = thing
    rng = random.Random(f"planted-target/{name}")
    target = rng.choice([value for value in kind.values if value != answer])
    direct = kind.wordings[0]

    def asked(wanted: str) -> list[str]:
        return [prompt_of(direct, other.name) for other in decoys if other.kind is kind and other.answer == wanted]

    return {
        "case_id": number,
        "pararel_idx": number,
        "requested_rewrite": {
            "prompt": prompt_of(direct, "{}"),
            "relation_id": kind.id,
            "target_new": {"str": target, "id": f"{kind.id}-{kind.values.index(target)}"},
            "target_true": {"str": answer, "id": f"{kind.id}-{kind.values.index(answer)}"},
            "subject": name,
        },
        "paraphrase_prompts": [prompt_of(wording, name) for wording in kind.held_out],
        "neighborhood_prompts": asked(answer),
        "attribute_prompts": asked(target),
        "generation_prompts": [f"{opening}{name}" for opening in OPENINGS[:4]],
    }
