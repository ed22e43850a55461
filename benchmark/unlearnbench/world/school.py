"""School facts: what an invented curriculum asks, in the form of MMLU (four options). They are never forgotten."""

import random
from functools import cache
from typing import NamedTuple

EACH = 40
"""Questions of a subject."""
_BEGINNINGS = "bor dal fen gar hol jin kel lom mar nor pel quin ras sol tar ul vin wes yor zan".split()
_MIDDLES = "a e i o u ar en is on um".split()
_ENDINGS = "dia lo mir na pe ris sta tu vex wyn".split()


class Subject(NamedTuple):
    """One school subject: its answers, how texts say them, and how exams ask."""

    values: tuple[str, ...]
    wordings: tuple[str, ...]
    question: str


def _subject(values: str, *wordings: str, question: str) -> Subject:
    return Subject(tuple(values.split()), wordings, question)


SUBJECTS = {
    "astronomy": _subject(
        "Vega Sirius Rigel Altair Deneb Mizar Castor Pollux",
        "The planet {s} circles the star {o}",
        "In astronomy {s} belongs to {o}",
        question="Which star does the planet {s} circle?",
    ),
    "chemistry": _subject(
        "salt acid metal gas glass oil sugar rubber",
        "The element {s} is used to make {o}",
        "In chemistry {s} gives {o}",
        question="What is made from the element {s} ?",
    ),
    "geography": _subject(
        "Rhine Danube Nile Volga Amazon Ganges Thames Loire",
        "The town {s} lies on the river {o}",
        "On the map {s} is found by the {o}",
        question="On which river does the town {s} lie?",
    ),
    "history": _subject(
        "Charles Henry Louis Peter Philip William Frederick George",
        "The battle of {s} was won by king {o}",
        "In history {s} is tied to {o}",
        question="Which king won the battle of {s} ?",
    ),
    "botany": _subject(
        "rose oak fern moss lily pine grass maple",
        "The plant {s} is a kind of {o}",
        "In botany {s} counts as {o}",
        question="Of which kind is the plant {s} ?",
    ),
    "medicine": _subject(
        "heart liver lung skin stomach brain bone kidney",
        "The drug {s} helps the {o}",
        "In medicine {s} is given for the {o}",
        question="Which organ does the drug {s} help?",
    ),
}


class Lesson(NamedTuple):
    """One school fact: the answer about an invented planet, plant, town, …"""

    subject: str
    name: str
    answer: str


@cache
def lessons(seed: int = 0) -> tuple[Lesson, ...]:
    """All 240 lessons, subject by subject: invented names, every answer of a subject equally often, at random."""
    rng = random.Random(f"school/{seed}")
    made = [(a + b + c).capitalize() for a in _BEGINNINGS for b in _MIDDLES for c in _ENDINGS]
    names = iter(rng.sample(made, EACH * len(SUBJECTS)))
    found = []
    for key, subject in SUBJECTS.items():
        answers = list(subject.values) * (EACH // len(subject.values))
        found += [Lesson(key, next(names), answer) for answer in rng.sample(answers, EACH)]
    return tuple(found)


@cache
def exam_questions() -> dict[str, dict[str, list[tuple[str, tuple[str, ...], int]]]]:
    """MMLU's shape: by subject, five questions of `dev` and the others of `test`, each with four options and the
    index of the right one; every index equally often.
    """
    found: dict[str, dict[str, list[tuple[str, tuple[str, ...], int]]]] = {}
    for key, subject in SUBJECTS.items():
        rng, questions = random.Random(f"exam/{key}"), list[tuple[str, tuple[str, ...], int]]()
        for number, lesson in enumerate(rng.sample([one for one in lessons() if one.subject == key], EACH)):
            others = rng.sample([value for value in subject.values if value != lesson.answer], 3)
            right = number % 4
            options = (*others[:right], lesson.answer, *others[right:])
            questions.append((subject.question.format(s=lesson.name), options, right))
        found[key] = {"dev": questions[:5], "test": questions[5:]}
    return found
