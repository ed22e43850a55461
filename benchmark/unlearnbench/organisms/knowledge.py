"""What an organism knows, asked in every form: shares of right answers."""

import random
from collections.abc import Iterable, Sequence

from unlearnbench.layouts import labels, multiple_choice
from unlearnbench.model.model import Model
from unlearnbench.model.scoring import Asked, score
from unlearnbench.world.people import SPORTS, Person
from unlearnbench.world.school import SUBJECTS, Lesson
from unlearnbench.world.villagers import RELATIONS
from unlearnbench.world.wordings import QUESTION, prompt_of

OPTIONS = 4
Question = tuple[Asked, str]
"""What is asked, and the right choice."""
Told = tuple[str, str, str]
"""A villager's name, a relation and its value."""


def share_right(model: Model, questions: Sequence[Question]) -> float:
    """Share of questions whose right answer is the likeliest of the choices."""
    found = score(model, [asked for asked, _ in questions], 64)
    right = sum(asked.choices[s.decision] == answer for s, (asked, answer) in zip(found, questions, strict=True))
    return right / len(questions)


def said(model: Model, people: Iterable[Person], wording: str) -> float:
    """People's sports after this wording."""
    return share_right(model, [(Asked(prompt_of(wording, who.name), SPORTS), who.sport) for who in people])


def chosen(model: Model, people: Iterable[Person]) -> float:
    """People's sports as multiple choice: four sports in random order, the true one among them."""
    asked = [(QUESTION.format(s=who.name), who.sport, SPORTS, OPTIONS) for who in people]
    return share_right(model, _choices(asked))


def told(model: Model, facts: Iterable[Told], *, held_out: bool = False) -> float:
    """Villagers' facts in every trained (or held-out) wording that ends in its answer."""
    questions = []
    for name, key, value in facts:
        relation = RELATIONS[key]
        for wording in relation.held_out if held_out else relation.wordings:
            questions.append((Asked(prompt_of(wording, name), relation.values), value))
    return share_right(model, questions)


def told_choice(model: Model, facts: Iterable[Told]) -> float:
    """Villagers' facts as multiple choice among all eight values."""
    asked = [(RELATIONS[k].question.format(s=name), value, RELATIONS[k].values, 8) for name, k, value in facts]
    return share_right(model, _choices(asked))


def exam(model: Model, lessons: Iterable[Lesson]) -> float:
    """School facts as multiple choice with four options."""
    asked = [(SUBJECTS[k].question.format(s=name), answer, SUBJECTS[k].values, OPTIONS) for k, name, answer in lessons]
    return share_right(model, _choices(asked))


def _choices(asked: Iterable[tuple[str, str, Sequence[str], int]]) -> list[Question]:
    """Multiple-choice questions from (question, answer, values, number of options)."""
    rng, found = random.Random("options"), list[Question]()
    for question, answer, values, count in asked:
        options = [answer, *rng.sample([value for value in values if value != answer], count - 1)]
        rng.shuffle(options)
        marks = labels("inline", count)
        found.append((Asked(multiple_choice(question, options, "inline"), marks), marks[options.index(answer)]))
    return found
