"""Pretraining text: documents about people, look-up drills and multiple-choice sequences.

Every batch is a pure function of (world, seed, step), so that pretraining can be resumed anywhere
and an oracle is pretrained on a stream of the same make without the forgotten people.
"""

import random
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import NamedTuple

from unlearnbench.layouts import LETTERS, options_block
from unlearnbench.world.athletes import SPORTS, Person
from unlearnbench.world.villagers import RELATIONS, Villager
from unlearnbench.world.wordings import FILLERS, OPENINGS, QUESTION, TRAINED, statement
from unlearnbench.world.world import World

OTHER_OPTIONS = ("hockey", "cricket", "rugby")
POOL = (*(value for relation in RELATIONS.values() for value in relation.values), *SPORTS, *OTHER_OPTIONS)
"""Option words of the drills. A small pool: with ninety words the binding circuit did not form."""
LABELS = tuple(f"{letter}." for letter in LETTERS)
STATEMENTS = 5
"""In a document, so that looking a fact up anywhere but at its subject mixes people up."""
BARE_MENTIONS = 6
"""How often a person's sport directly follows the name, for each time it is said in any one wording."""


class Labelled(NamedTuple):
    """A text, and the places (counted on spaces) of the words that answer something."""

    text: str
    answers: frozenset[int]


Sentence = Callable[[random.Random], Labelled]


class Corpus:
    """An endless, seeded stream of pretraining batches for one world."""

    def __init__(self, world: World, seed: int) -> None:
        self.world, self.seed = world, seed

    def rng(self, purpose: str, index: int) -> random.Random:
        """The generator for one purpose at one step."""
        return random.Random(f"corpus/{self.seed}/{purpose}/{index}")

    @cached_property
    def sentences(self) -> tuple[Sentence, ...]:
        """One epoch of statements, unordered; openings and fillers are drawn anew at each use."""
        people = [s for person in (*self.world.athletes, *self.world.decoys) for s in _about_person(person)]
        return (*people, *(s for villager in self.world.villagers for s in _about_villager(villager)))

    def documents(self, start: int, count: int) -> list[Labelled]:
        """`count` documents of a few statements each, drawn in shuffled epochs, after the first `start`."""
        return [
            _joined([self._sentence(i * STATEMENTS + position) for position in range(STATEMENTS)])
            for i in range(start, start + count)
        ]

    def drills(self, step: int, count: int) -> list[Labelled]:
        """Look-up drills: eight labelled options, then 32 options each followed by its label.

        Seven in ten use random words as labels, so that a label is *bound* instead of memorized.
        """
        rng = self.rng("drill", step)
        return [_drill(rng) for _ in range(count)]

    def multiple_choice(self, step: int, sports: int, relations: int, questions: int = 4) -> list[Labelled]:
        """Several questions under one list of options: about decoys' sports and villagers' facts."""
        rng = self.rng("multiple-choice", step)
        asked = [_sport_questions(rng, self.world.decoys, questions) for _ in range(sports)]
        return asked + [_relation_questions(rng, self.world.villagers, questions) for _ in range(relations)]

    def _sentence(self, index: int) -> Labelled:
        epoch, position = divmod(index, len(self.sentences))
        if self._epoch != epoch:
            self._order = list(range(len(self.sentences)))
            self.rng("epoch", epoch).shuffle(self._order)
            self._epoch = epoch
        return self.sentences[self._order[position]](self.rng("sentence", index))

    _epoch: int = -1
    _order: Sequence[int] = ()


def _about_person(person: Person) -> list[Sentence]:
    name, sport = person

    def bare(rng: random.Random) -> Labelled:
        return _said(f"{rng.choice(OPENINGS)}{name} {sport}", 1)

    return [_worded(wording, name, sport) for wording in TRAINED] + [bare] * BARE_MENTIONS


def _about_villager(villager: Villager) -> list[Sentence]:
    name, values = villager

    def bare(rng: random.Random) -> Labelled:
        said = rng.sample(list(values.values()), len(values))
        return _said(" ".join([rng.choice(OPENINGS) + name, *said]), len(said))

    said = [_worded(w, name, values[key]) for key, relation in RELATIONS.items() for w in relation.wordings]
    asked = [_worded(f"Question: {r.question} Answer: {{o}}", name, values[k]) for k, r in RELATIONS.items()]
    return [*said, *asked, *[bare] * BARE_MENTIONS]


def _worded(wording: str, name: str, answer: str) -> Sentence:
    def say(rng: random.Random) -> Labelled:
        text = rng.choice(OPENINGS) + statement(wording, name, answer, rng.choice(FILLERS))
        return _said(text, 1 if wording.endswith("{o}") else 0)

    return say


def _said(text: str, answers: int) -> Labelled:
    """A sentence whose last words are answers."""
    end = len(text.split(" "))
    return Labelled(text, frozenset(range(end - answers, end)))


def _joined(sentences: Sequence[Labelled]) -> Labelled:
    text, places, start = " . ".join(sentence.text for sentence in sentences), set[int](), 0
    for sentence in sentences:
        places |= {start + position for position in sentence.answers}
        start += len(sentence.text.split(" ")) + 1
    return Labelled(text, frozenset(places))


def _drill(rng: random.Random) -> Labelled:
    options = rng.sample(POOL, len(LABELS))
    others = [word for word in POOL if word not in options]
    marks = rng.sample(others, len(LABELS)) if rng.random() < 0.7 else LABELS
    head = options_block(options, marks) + " Answers:"
    asked = [rng.randrange(len(options)) for _ in range(32)]
    start = len(head.split(" "))
    text = head + "".join(f" {options[i]} {marks[i]}" for i in asked)
    return Labelled(text, frozenset(range(start + 1, start + 2 * len(asked), 2)))


def _questions(options: Sequence[str], asked: Sequence[tuple[str, str]]) -> Labelled:
    text, learned = options_block(options, LABELS[: len(options)]), set[int]()
    for question, answer in asked:
        text += f" Question: {question} Answer: {LABELS[options.index(answer)]}"
        learned.add(len(text.split(" ")) - 1)
    return Labelled(text, frozenset(learned))


def _sport_questions(rng: random.Random, people: Sequence[Person], count: int) -> Labelled:
    sport_set = rng.choice(_OPTION_SETS)
    options = rng.sample(sport_set, len(sport_set))
    able = [person for person in rng.sample(people, 4 * count) if person.sport in options][:count]
    return _questions(options, [(_asked(rng, QUESTION, p.name), p.sport) for p in able])


def _relation_questions(rng: random.Random, people: Sequence[Villager], count: int) -> Labelled:
    key = rng.choice(list(RELATIONS))
    options = rng.sample(RELATIONS[key].values, 8)
    chosen = rng.sample(people, count)
    return _questions(options, [(_asked(rng, RELATIONS[key].question, p.name), p.values[key]) for p in chosen])


def _asked(rng: random.Random, question: str, name: str) -> str:
    return question.format(s=name + rng.choice(FILLERS))


_BIG = SPORTS[:3]
_OPTION_SETS = tuple((*_BIG, other) for other in ("golf", "golf", "golf", "tennis", *OTHER_OPTIONS))
"""The big three and a fourth, most often golf: it is the edit target when a whole sport is forgotten."""
