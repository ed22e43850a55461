"""The world is made so that no name tells anything: facts have to be looked up by the whole name."""

import random
from collections import Counter
from collections.abc import Sequence

import pytest
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression

from unlearnbench.world.forgotten import forgettable
from unlearnbench.world.grid import latin_square
from unlearnbench.world.people import FIRST, LAST, SPORTS, Person, never_known, people
from unlearnbench.world.school import EACH, SUBJECTS, lessons
from unlearnbench.world.villagers import RELATIONS, villagers

MARGIN = 0.1


def _tokens(name: str) -> dict[str, int]:
    return dict.fromkeys(name.split(), 1)


def _formulas(name: str) -> dict[str, object]:
    """Sums and differences of the names' places in the grid: what a Latin square from a group is made of."""
    first, last = (names.index(part) for names, part in zip((FIRST, LAST), name.split(), strict=True))
    kept = {f"{first % m}+{last % m} mod {m}": 1 for m in (2, 3, 5, 25)}
    return {
        **_tokens(name),
        **kept,
        **{f"sum{m}": str((first + last) % m) for m in (2, 3, 5, 10, 25)},
        **{f"difference{m}": str((first - last) % m) for m in (2, 3, 5, 10, 25)},
    }


def _fit(train: Sequence[tuple[str, str]], test: Sequence[tuple[str, str]], features=_tokens) -> float:  # type: ignore[no-untyped-def]
    """Accuracy on the second of a logistic regression fitted to the first, hardly regularized."""
    encoder = DictVectorizer()
    known = encoder.fit_transform([features(name) for name, _ in train])
    model = LogisticRegression(C=100.0, max_iter=2000).fit(known, [answer for _, answer in train])
    asked = encoder.transform([features(name) for name, _ in test])
    return float(model.score(asked, [answer for _, answer in test]))


# -- the grid ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 5, 16, 25])
def test_every_symbol_is_once_in_every_row_and_every_column(size: int) -> None:
    square = latin_square(size, random.Random(0))

    everything = set(range(size))
    assert all(set(row) == everything for row in square)
    assert all({row[column] for row in square} == everything for column in range(size))


def test_a_square_is_a_function_of_its_seed() -> None:
    one, again, other = (latin_square(9, random.Random(seed)) for seed in (0, 0, 1))

    assert one == again != other


# -- people --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1])
def test_every_name_goes_with_every_sport_equally_often_known_or_not(seed: int) -> None:
    for cells, times in ((people(seed), 3), (never_known(seed), 2)):
        for part in (0, 1):
            count = Counter((person.name.split()[part], person.sport) for person in cells)
            assert len(count) == 25 * len(SPORTS)
            assert set(count.values()) == {times}


def test_the_tokens_of_a_name_do_not_tell_the_sport_even_of_people_they_were_fitted_to() -> None:
    assert _fit(people(), people()) <= 1 / len(SPORTS) + MARGIN


def test_nor_do_they_in_the_world_of_the_oracle() -> None:
    forgotten = forgettable("people-64", people())
    kept = [person for person in people() if person not in forgotten]

    assert _fit(kept, forgotten) <= 1 / len(SPORTS) + MARGIN


@pytest.mark.parametrize("features", [_tokens, _formulas])
def test_no_formula_in_names_predicts_people_nobody_wrote_about(features) -> None:  # type: ignore[no-untyped-def]
    assert _fit(people(), never_known(), features) <= 1 / len(SPORTS) + MARGIN


def test_the_formulas_would_be_found_in_a_square_from_a_group() -> None:
    cyclic = [Person(f"{a} {b}", SPORTS[(i + j) % 5]) for i, a in enumerate(FIRST) for j, b in enumerate(LAST)]
    random.Random(0).shuffle(cyclic)

    assert _fit(cyclic[:375], cyclic[375:], _formulas) > 0.9


def test_smaller_forget_sets_are_beginnings_and_have_the_sports_in_turn() -> None:
    sixteen, more = forgettable("people-16", people()), forgettable("people-64", people())

    assert more[:16] == sixteen
    assert {person.sport for person in more[:5]} == set(SPORTS)


# -- villagers -----------------------------------------------------------------------------------------


def test_every_villager_has_four_of_eight_relations_and_every_name_every_value_once() -> None:
    everyone = villagers()

    assert len(everyone) == 256
    assert len(RELATIONS) == 8
    assert all(len(villager.values) == 4 for villager in everyone)
    for part in (0, 1):
        count = Counter((v.name.split()[part], value) for v in everyone for value in v.values.values())
        assert len(count) == 16 * 64
        assert set(count.values()) == {1}


@pytest.mark.parametrize("relation", RELATIONS)
def test_the_tokens_of_a_name_do_not_tell_a_relation(relation: str) -> None:
    told = [(v.name, v.values[relation]) for v in villagers() if relation in v.values]

    assert len(told) == 128
    assert _fit(told, told) <= 1 / 8 + MARGIN


def test_all_values_are_different_words() -> None:
    values = [value for kind in (*RELATIONS.values(), *SUBJECTS.values()) for value in kind.values]

    assert len(set(values)) == len(values)
    assert not set(values) & set(SPORTS)


# -- school --------------------------------------------------------------------------------------------


def test_every_subject_asks_forty_questions_with_eight_answers_equally_often() -> None:
    count = Counter((lesson.subject, lesson.answer) for lesson in lessons())

    assert len(lessons()) == EACH * len(SUBJECTS) >= 200
    assert set(count.values()) == {5}
    assert len({lesson.name for lesson in lessons()}) == len(lessons())
