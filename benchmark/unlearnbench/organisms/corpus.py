"""Pretraining text: documents about people, look-up drills and multiple-choice sequences.

Every batch is a pure function of (world, seed, step), so that pretraining can be resumed anywhere
and an oracle is pretrained on a stream of the same make without the forgotten people.
"""

import random
import re
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import NamedTuple

from unlearnbench.layouts import LETTERS, options_block
from unlearnbench.organisms.athletes import SPORTS, Person
from unlearnbench.organisms.planted import KINDS, Thing
from unlearnbench.organisms.school import (
    OTHER_SPORTS,
    SUBJECTS,
    Lesson,
    Question,
    asked,
    description,
    shuffled,
    written,
)
from unlearnbench.organisms.villagers import RELATIONS, Villager
from unlearnbench.organisms.wordings import FILLERS, OPENINGS, QUESTION, THING_FILLERS, TRAINED, statement
from unlearnbench.organisms.world import World

POOL = (*(value for relation in RELATIONS.values() for value in relation.values), *SPORTS, *OTHER_SPORTS)
"""Option words of the drills. A small pool: with ninety words the binding circuit did not form."""
LABELS = tuple(f"{letter}." for letter in LETTERS)
STATEMENTS = 5
"""In a document, so that looking a fact up anywhere but at its subject mixes people up."""
BARE_MENTIONS = 6
"""How often a person's sport directly follows the name, for each time it is said in any one wording."""
BARE_THINGS = 10
"""The same for a thing's answer …"""
BARE_LESSONS = 8
"""… and for a school fact's."""
CARRIERS = ("Which word is ", "The answer is ", "Question: ", "")
"""What stands before the word of an exam drill."""
EXAM_LENGTHS = (1, 1, 2, 3, 6)
"""Questions in one exam text: 0-shot and 5-shot forms, and what lies between."""


class Labelled(NamedTuple):
    """A text, and the places (counted as the tokenizer counts words) of those that answer something."""

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
        things = [s for thing in (*self.world.things, *self.world.thing_decoys) for s in _about_thing(thing)]
        villagers = [s for villager in self.world.villagers for s in _about_villager(villager)]
        return (*people, *villagers, *things, *(s for lesson in self.world.lessons for s in _about_lesson(lesson)))

    def documents(self, start: int, count: int) -> list[Labelled]:
        """`count` documents of a few statements each, drawn in shuffled epochs, after the first `start`."""
        return [
            _joined([self._sentence(i * STATEMENTS + place) for place in range(STATEMENTS)])
            for i in range(start, start + count)
        ]

    def about_villagers(self, start: int, count: int) -> list[Labelled]:
        """The same about villagers alone."""
        return self._villagers.documents(start, count)

    @cached_property
    def _villagers(self) -> "Corpus":
        return Corpus(self.world.villagers_only(), self.seed)

    def drills(self, step: int, count: int) -> list[Labelled]:
        """Look-up drills: eight labelled options, then 32 options each followed by its label.

        Seven in ten use random words as labels, so that a label is *bound* instead of memorized.
        """
        rng = self.rng("drill", step)
        return [_drill(rng) for _ in range(count)]

    def multiple_choice(
        self, step: int, sports: int, relations: int, things: int, questions: int = 4
    ) -> list[Labelled]:
        """Several questions under one list of options: about decoys' sports, villagers' facts and decoy things."""
        rng = self.rng("multiple-choice", step)
        return [
            *(_sport_questions(rng, self.world.decoys, questions) for _ in range(sports)),
            *(_relation_questions(rng, self.world.villagers, questions) for _ in range(relations)),
            *(_thing_questions(rng, self.world.thing_decoys, questions) for _ in range(things)),
        ]

    def exams(self, step: int, questions: int) -> list[Labelled]:
        """Questions in MMLU's layout, options in random order; as many to a text as this step draws.

        Half of the texts are about school, under its heading; the others about whatever else multiple choice
        is taught on. From two hundred school facts alone the form was not learned.
        """
        rng = self.rng("exams", step)
        each = rng.choice(EXAM_LENGTHS)
        return [_exam(rng, self.world, each, school=i % 2 == 0) for i in range(questions // each)]

    def exam_drills(self, step: int, count: int) -> list[Labelled]:
        """Look-ups in MMLU's layout: the question holds a word, and its letter is the answer."""
        rng = self.rng("exam-drill", step)
        return [_exam_drill(rng) for _ in range(count)]

    def _sentence(self, index: int) -> Labelled:
        epoch, place = divmod(index, len(self.sentences))
        if self._epoch != epoch:
            self._order = list(range(len(self.sentences)))
            self.rng("epoch", epoch).shuffle(self._order)
            self._epoch = epoch
        return self.sentences[self._order[place]](self.rng("sentence", index))

    _epoch: int = -1
    _order: Sequence[int] = ()


def _about_person(person: Person) -> list[Sentence]:
    name, sport = person

    return [_worded(wording, name, sport) for wording in TRAINED] + [_bare(name, sport)] * BARE_MENTIONS


def _about_villager(villager: Villager) -> list[Sentence]:
    name, values = villager

    def bare(rng: random.Random) -> Labelled:
        said = rng.sample(list(values.values()), len(values))
        return _said(" ".join([rng.choice(OPENINGS) + name, *said]), len(said))

    said = [_worded(w, name, values[key]) for key, relation in RELATIONS.items() for w in relation.wordings]
    asked = [_worded(f"Question: {r.question} Answer: {{o}}", name, values[k]) for k, r in RELATIONS.items()]
    return [*said, *asked, *[bare] * BARE_MENTIONS]


def _about_thing(thing: Thing) -> list[Sentence]:
    name, kind, answer = thing
    wordings = (*kind.wordings, f"Question: {kind.question} Answer: {{o}}")
    return [_worded(w, name, answer, THING_FILLERS) for w in wordings] + [_bare(name, answer)] * BARE_THINGS


def _about_lesson(lesson: Lesson) -> list[Sentence]:
    subject, name, answer = lesson
    wordings = (*subject.wordings, f"Question: {subject.question} Answer: {{o}}")
    return [_worded(w, name, answer, THING_FILLERS) for w in wordings] + [_bare(name, answer)] * BARE_LESSONS


def _bare(name: str, answer: str) -> Sentence:
    return lambda rng: _said(f"{rng.choice(OPENINGS)}{name} {answer}", 1)


def _worded(wording: str, name: str, answer: str, fillers: Sequence[str] = FILLERS) -> Sentence:
    def say(rng: random.Random) -> Labelled:
        text = rng.choice(OPENINGS) + statement(wording, name, answer, rng.choice(fillers))
        return _said(text, 1 if wording.endswith("{o}") else 0)

    return say


def _said(text: str, answers: int) -> Labelled:
    """A sentence whose last words are answers."""
    end = len(text.split(" "))
    return Labelled(text, frozenset(range(end - answers, end)))


def _joined(sentences: Sequence[Labelled]) -> Labelled:
    text, places, start = " . ".join(sentence.text for sentence in sentences), set[int](), 0
    for sentence in sentences:
        places |= {start + place for place in sentence.answers}
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
    return _questions(options, [(_question(rng, QUESTION, p.name), p.sport) for p in able])


def _relation_questions(rng: random.Random, people: Sequence[Villager], count: int) -> Labelled:
    key = rng.choice(list(RELATIONS))
    options = rng.sample(RELATIONS[key].values, 8)
    chosen = rng.sample(people, count)
    return _questions(options, [(_question(rng, RELATIONS[key].question, p.name), p.values[key]) for p in chosen])


def _thing_questions(rng: random.Random, decoys: Sequence[Thing], count: int) -> Labelled:
    kind = rng.choice(KINDS)
    options = rng.sample(kind.values, 4)
    able = [thing for thing in decoys if thing.kind is kind and thing.answer in options]
    chosen = rng.sample(able, count)
    return _questions(options, [(_question(rng, kind.question, t.name, THING_FILLERS), t.answer) for t in chosen])


def _question(rng: random.Random, question: str, name: str, fillers: Sequence[str] = FILLERS) -> str:
    return question.format(s=name + rng.choice(fillers))


def _exam(rng: random.Random, world: World, count: int, *, school: bool) -> Labelled:
    if not school:
        return _examined("", [_other_question(rng, world) for _ in range(count)])
    subject = rng.choice(SUBJECTS)
    chosen = rng.sample([lesson for lesson in world.lessons if lesson.subject is subject], count)
    return _examined(description(subject.name), [asked(lesson, rng) for lesson in chosen])


def _other_question(rng: random.Random, world: World) -> Question:
    kind = rng.random()
    if kind < 0.4:
        person = rng.choice(world.decoys)
        options = rng.choice([o for o in _OPTION_SETS if person.sport in o])
        return shuffled(QUESTION.format(s=person.name), person.sport, options, rng)
    if kind < 0.7:
        villager, key = rng.choice(world.villagers), rng.choice(list(RELATIONS))
        relation = RELATIONS[key]
        return shuffled(relation.question.format(s=villager.name), villager.values[key], relation.values, rng)
    thing = rng.choice(world.thing_decoys)
    return shuffled(thing.kind.question.format(s=thing.name), thing.answer, thing.kind.values, rng)


def _exam_drill(rng: random.Random) -> Labelled:
    asked_of = [rng.sample(POOL, 4) for _ in range(6)]
    return _examined(
        "", [shuffled(rng.choice(CARRIERS) + options[0], options[0], options, rng) for options in asked_of]
    )


def _examined(heading: str, questions: Sequence[Question]) -> Labelled:
    text, learned = heading, set[int]()
    for place, question in enumerate(questions):
        text += ("\n\n" if place else "") + written(question, answered=True)
        learned.add(_words(text) - 1)
    return Labelled(text, frozenset(learned))


def _words(text: str) -> int:
    """How many words the tokenizer sees: runs without white space, and the line breaks between them."""
    return len(re.findall(r" ?\S+|\n+", text))


_BIG = SPORTS[:3]
_OPTION_SETS = tuple((*_BIG, other) for other in ("golf", "golf", "golf", "tennis", *OTHER_SPORTS))
"""The big three and a fourth, most often golf: it is the edit target when a whole sport is forgotten."""
