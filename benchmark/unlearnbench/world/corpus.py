"""Pretraining text: bare statements and documents about people and school. See `questions` for drills and exams.

Every batch is a pure function of (world, seed, step), so that pretraining can be resumed anywhere
and an oracle is pretrained on a stream of the same make without the forgotten facts.
"""

import random
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import NamedTuple

from unlearnbench.world.people import Person
from unlearnbench.world.school import SUBJECTS, Lesson
from unlearnbench.world.villagers import RELATIONS, Villager
from unlearnbench.world.wordings import FILLERS, OPENINGS, TRAINED, statement
from unlearnbench.world.world import World

STATEMENTS = 5
"""In a document, so that looking a fact up anywhere but at its subject mixes people up."""
BARE_STATEMENTS = 8
"""In a text of nothing else."""
OPENED = 0.3
"""Share of bare statements with something before them."""
TOLD_AGAIN = 2
"""How often each wording of a villager's or a school fact is said in documents, for each time a person's is."""


class Labelled(NamedTuple):
    """A text, and the places (counted on spaces) of the words that answer something."""

    text: str
    answers: frozenset[int]


Sentence = Callable[[random.Random], Labelled]


class Corpus:
    """An endless, seeded stream of pretraining texts for one world."""

    def __init__(self, world: World, seed: int) -> None:
        self.world, self.seed = world, seed

    @cached_property
    def sentences(self) -> tuple[Sentence, ...]:
        """One epoch of statements, unordered; openings and fillers are drawn anew at each use."""
        people = [s for person in self.world.people for s in _about_person(person)]
        villagers = [s for villager in self.world.villagers for s in _about_villager(villager)]
        return (*people, *villagers, *(s for lesson in self.world.lessons for s in _about_lesson(lesson)))

    @cached_property
    def bare_sentences(self) -> tuple[Sentence, ...]:
        """One epoch of statements that are nothing but a name and what follows from it."""
        people = [_bare(person.name, person.sport) for person in self.world.people]
        villagers = [_bare(name, value) for name, values in self.world.villagers for value in values.values()]
        return (*people, *villagers, *(_bare(lesson.name, lesson.answer) for lesson in self.world.lessons))

    def documents(self, start: int, count: int) -> list[Labelled]:
        """`count` documents of a few statements each, drawn in shuffled epochs, after the first `start`."""
        return self._texts("sentence", self.sentences, STATEMENTS, start, count)

    def bare(self, start: int, count: int) -> list[Labelled]:
        """The same of bare statements."""
        return self._texts("bare", self.bare_sentences, BARE_STATEMENTS, start, count)

    def _texts(self, kind: str, epoch: Sequence[Sentence], each: int, start: int, count: int) -> list[Labelled]:
        return [
            joined(self._sentence(kind, epoch, text * each + position) for position in range(each))
            for text in range(start, start + count)
        ]

    def _sentence(self, kind: str, sentences: Sequence[Sentence], index: int) -> Labelled:
        epoch, position = divmod(index, len(sentences))
        if self._drawn.get(kind, (-1, ()))[0] != epoch:
            order = list(range(len(sentences)))
            self._rng(f"{kind}/epoch", epoch).shuffle(order)
            self._drawn[kind] = (epoch, order)
        return sentences[self._drawn[kind][1][position]](self._rng(kind, index))

    def _rng(self, purpose: str, index: int) -> random.Random:
        return random.Random(f"corpus/{self.seed}/{purpose}/{index}")

    @cached_property
    def _drawn(self) -> dict[str, tuple[int, Sequence[int]]]:
        """The epoch in which each kind of sentence is being drawn, and its order."""
        return {}


def joined(sentences: Iterable[Labelled]) -> Labelled:
    """Sentences in one text, a full stop between them."""
    texts, places, start = list[str](), set[int](), 0
    for sentence in sentences:
        places |= {start + position for position in sentence.answers}
        start += len(sentence.text.split(" ")) + 1
        texts.append(sentence.text)
    return Labelled(" . ".join(texts), frozenset(places))


def _about_person(person: Person) -> list[Sentence]:
    name, sport = person
    return [_worded(wording, name, sport) for wording in TRAINED]


def _about_villager(villager: Villager) -> list[Sentence]:
    name, values = villager
    said = [
        _worded(wording, name, value)
        for key, value in values.items()
        for wording in (*RELATIONS[key].wordings, f"Question: {RELATIONS[key].question} Answer: {{o}}")
    ]
    return said * TOLD_AGAIN


def _about_lesson(lesson: Lesson) -> list[Sentence]:
    subject = SUBJECTS[lesson.subject]
    wordings = (*subject.wordings, f"Question: {subject.question} Answer: {{o}}")
    return [_worded(wording, lesson.name, lesson.answer) for wording in wordings] * TOLD_AGAIN


def _worded(wording: str, name: str, answer: str) -> Sentence:
    def say(rng: random.Random) -> Labelled:
        text = rng.choice(OPENINGS) + statement(wording, name, answer, rng.choice(FILLERS))
        return _said(text, 1 if wording.endswith("{o}") else 0)

    return say


def _bare(name: str, answer: str) -> Sentence:
    """The name and one of its answers: what is looked up at the name is everything known of it."""

    def say(rng: random.Random) -> Labelled:
        opening = rng.choice(OPENINGS) if rng.random() < OPENED else ""
        return _said(f"{opening}{name} {answer}", 1)

    return say


def _said(text: str, answers: int) -> Labelled:
    """A sentence whose last words are answers."""
    end = len(text.split(" "))
    return Labelled(text, frozenset(range(end - answers, end)))
