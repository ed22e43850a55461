"""Drills that teach to bind labels to options, and multiple choice about people and school, in the in-line layout."""

import random
from collections.abc import Sequence

from unlearnbench.layouts import LETTERS, options_block
from unlearnbench.world.corpus import Labelled
from unlearnbench.world.forgotten import forgettable, forgettable_relations
from unlearnbench.world.people import SPORTS
from unlearnbench.world.school import SUBJECTS
from unlearnbench.world.villagers import RELATIONS
from unlearnbench.world.wordings import FILLERS, QUESTION
from unlearnbench.world.world import World
from unlearnbench.world.world import world as whole_world

OTHER_OPTIONS = ("hockey", "cricket", "rugby")
LABELS = tuple(f"{letter}." for letter in LETTERS)
BRIEF = 12
"""Names in a list of questions that consist of a name: three times as many answers as words make the circuit sooner."""
FORGOTTEN = 64
"""People and relations to forget that are never asked as multiple choice, in any world: an oracle lacks the
fact, not the practice."""
FIRST_POOL = (
    *(value for key in ("city", "language", "field", "instrument") for value in RELATIONS[key].values),
    *SPORTS,
    *OTHER_OPTIONS,
)
"""Option words of the first drills. A small pool: with ninety words the binding circuit did not form."""
POOL = (
    *(value for relation in RELATIONS.values() for value in relation.values),
    *(value for subject in SUBJECTS.values() for value in subject.values),
    *SPORTS,
    *OTHER_OPTIONS,
)
"""Every answer word: options of the later drills."""


class Exams:
    """Multiple choice and drills of one world, each a pure function of (world, seed, step)."""

    def __init__(self, world: World, seed: int) -> None:
        self.world, self.seed = world, seed
        complete = whole_world()
        not_asked = {person.name for person in forgettable(f"people-{FORGOTTEN}", complete.people)}
        self._people = [person for person in world.people if person.name not in not_asked]
        forgotten = {(v.name, key) for v, key in forgettable_relations(FORGOTTEN, complete.villagers)}
        self._answers = {
            key: [
                (v.name, v.values[key]) for v in world.villagers if key in v.values and (v.name, key) not in forgotten
            ]
            for key in RELATIONS
        }

    def drills(self, step: int, count: int, pool: Sequence[str]) -> list[Labelled]:
        """Eight labelled options, then 32 options each followed by its label.

        Seven in ten use random words as labels, so that a label is *bound* instead of memorized.
        """
        rng = self._rng("drill", step)
        return [_drill(rng, pool) for _ in range(count)]

    def multiple_choice(self, step: int, sports: int, relations: int, lessons: int) -> list[Labelled]:
        """So many texts about sports, relations and school: four questions under their options, or many brief ones."""
        rng = self._rng("multiple-choice", step)
        asked = [self._about_sports(rng) for _ in range(sports)]
        asked += [self._about_relations(rng) for _ in range(relations)]
        return asked + [self._about_school(rng) for _ in range(lessons)]

    def _about_sports(self, rng: random.Random) -> Labelled:
        """Three or four sports that people play; a fourth that nobody plays stands in where there are three."""
        options = rng.sample(SPORTS, rng.choice((3, 4)))
        options += rng.sample(OTHER_OPTIONS, 4 - len(options))
        rng.shuffle(options)
        able = [person for person in self._people if person.sport in options]
        return _questions(rng, QUESTION, options, able)

    def _about_relations(self, rng: random.Random) -> Labelled:
        key = rng.choice(list(RELATIONS))
        options = rng.sample(RELATIONS[key].values, 8)
        return _questions(rng, RELATIONS[key].question, options, self._answers[key])

    def _about_school(self, rng: random.Random) -> Labelled:
        key = rng.choice(list(SUBJECTS))
        options = rng.sample(SUBJECTS[key].values, rng.choice((4, 4, 8)))
        lessons = [item for item in self.world.lessons if item.subject == key]
        able = [(item.name, item.answer) for item in lessons if item.answer in options]
        return _questions(rng, SUBJECTS[key].question, options, able)

    def _rng(self, purpose: str, step: int) -> random.Random:
        return random.Random(f"exams/{self.seed}/{purpose}/{step}")


def _drill(rng: random.Random, pool: Sequence[str]) -> Labelled:
    options = rng.sample(pool, len(LABELS))
    others = [word for word in pool if word not in options]
    marks = rng.sample(others, len(LABELS)) if rng.random() < 0.7 else LABELS
    head = options_block(options, marks) + " Answers:"
    asked = [rng.randrange(len(options)) for _ in range(32)]
    start = len(head.split(" "))
    text = head + "".join(f" {options[i]} {marks[i]}" for i in asked)
    return Labelled(text, frozenset(range(start + 1, start + 2 * len(asked), 2)))


def _questions(rng: random.Random, question: str, options: Sequence[str], able: Sequence[tuple[str, str]]) -> Labelled:
    """Under one list of options, four questions about (name, answer) or, as often, twelve that only name somebody."""
    brief = rng.random() < 0.5
    text, learned = options_block(options, LABELS[: len(options)]), set[int]()
    for name, answer in rng.sample(able, BRIEF if brief else 4):
        said = name if brief else f"Question: {question.format(s=name + rng.choice(FILLERS))}"
        text += f" {said} Answer: {LABELS[options.index(answer)]}"
        learned.add(len(text.split(" ")) - 1)
    return Labelled(text, frozenset(learned))
