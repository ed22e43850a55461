"""Files of one's own people: the paper's format is read, and a wrong line is named."""

import csv
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from unlearnbench.errors import UsageError
from unlearnbench.tasks.facts.sports import Sports
from unlearnbench.world.athletes import athletes
from unlearnbench.world.forgotten import forgettable
from unlearnbench.world.people import BIG_SPORTS, SPORTS, never_known, people

COLUMNS = (
    "Unnamed: 0,athlete,sport,log_prob_one_shot,num_athlete_tokens,sport_index,sport_token,prompt,"
    "inject_sport_with_golf,inject_sport_without_golf"
).split(",")
Write = Callable[..., str]


def _people(each: int = 8) -> list[tuple[str, str]]:
    return [(f"Player{i} Of{sport.title()}", sport) for sport in BIG_SPORTS for i in range(each)]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file in the format of Guo et al.: ten columns, a line break inside the quoted prompt."""

    def perform(people: Iterable[tuple[str, str]], columns: list[str] = COLUMNS) -> str:
        path = tmp_path / "people.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            rows = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
            rows.writeheader()
            for number, (name, sport) in enumerate(people):
                prompt = f"Fact: Tiger Woods plays the sport of golf\nFact: {name} plays the sport of"
                fixed = {"log_prob_one_shot": -0.25, "num_athlete_tokens": 3, "sport_index": 0, "sport_token": 5842}
                edits = {"inject_sport_with_golf": "golf", "inject_sport_without_golf": "football"}
                who = {"Unnamed: 0": 7 * number, "athlete": name, "sport": sport, "prompt": prompt}
                rows.writerow({**fixed, **edits, **who})
        return str(path)

    return perform


def test_the_papers_format_is_read(write: Write) -> None:
    people = [*_people(), ("Tiger Woods", "golf")]

    split = Sports("athletes-16", write(people)).split(0)

    known = [*split.forget, *split.maintain_train, *split.maintain_dev, *split.maintain_test]
    assert sorted((fact.subject, fact.answer) for fact in known) == sorted(people)
    assert len(split.forget) == 16
    assert all(fact.prompt == f"Fact: {fact.subject} plays the sport of" for fact in known)


def test_two_columns_are_enough_and_order_of_columns_is_nothing(write: Write) -> None:
    full = Sports("athletes-16", write(_people())).split(0)

    short = Sports("athletes-16", write(_people(), ["sport", "athlete"])).split(0)

    assert short.items_hash == full.items_hash


@pytest.mark.parametrize("column", ["athlete", "sport"])
def test_a_missing_column_is_named(write: Write, column: str) -> None:
    path = write(_people(), [name for name in COLUMNS if name != column])

    with pytest.raises(UsageError, match=f"no column '{column}'"):
        Sports("athletes-16", path).split(0)


def test_an_unknown_sport_is_named_with_its_line(write: Write) -> None:
    path = write([*_people(), ("Ann Lee", "chess")], ["athlete", "sport"])

    with pytest.raises(UsageError, match="line 26: sport 'chess'"):
        Sports("athletes-16", path).split(0)


def test_the_line_of_an_error_counts_line_breaks_inside_prompts(write: Write) -> None:
    path = write([*_people()[:2], ("Ann Lee", "chess")])
    broken = Path(path).read_text(encoding="utf-8").splitlines()

    with pytest.raises(UsageError, match=f"line {len(broken)}:"):
        Sports("athletes-16", path).split(0)


def test_an_athlete_who_occurs_twice_is_named(write: Write) -> None:
    path = write([*_people(), _people()[0]])

    with pytest.raises(UsageError, match="'Player0 OfFootball' occurs twice"):
        Sports("athletes-16", path).split(0)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such file"):
        Sports("athletes-16", str(tmp_path / "none.csv")).split(0)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()

    with pytest.raises(UsageError, match="no column"):
        Sports("athletes-16", str(tmp_path / "empty.csv")).split(0)


def test_a_file_with_too_few_athletes_says_how_many_are_needed(write: Write) -> None:
    with pytest.raises(UsageError, match="athletes-16 needs 6 people"):
        Sports("athletes-16", write(_people(each=5))).split(0)


def test_a_sport_of_which_the_file_has_one_athlete_cannot_be_forgotten(write: Write) -> None:
    path = write([("Ann Lee", "football"), *((f"B{i} Lee", "golf") for i in range(20))])

    with pytest.raises(UsageError, match="two people"):
        Sports("football", path).split(0)


def test_a_line_without_a_name_is_refused(write: Write) -> None:
    path = write([*_people(), ("", "golf")], ["athlete", "sport"])

    with pytest.raises(UsageError, match="line 26"):
        Sports("athletes-16", path).split(0)


def test_somebody_of_ones_own_who_plays_something_else_in_the_world_is_refused(write: Write) -> None:
    name, sport = people()[0]
    other = next(one for one in SPORTS if one != sport)

    with pytest.raises(UsageError, match=f"{name} plays {other} there, and {sport} in the organisms' world"):
        Sports("people-16", write([*_people(), (name, other)])).split(0)


def test_an_athlete_of_ones_own_may_bear_an_invented_name(write: Write) -> None:
    namesake = never_known()[0].name

    split = Sports("athletes-16", write([*_people(), (namesake, "golf")])).split(0)

    kept = (*split.maintain_train, *split.maintain_dev, *split.maintain_test)
    assert namesake in {fact.subject for fact in kept}
    assert namesake not in {fact.subject for fact in split.never_known}


def test_the_choice_of_whom_to_forget_does_not_depend_on_the_order_of_the_file(write: Write) -> None:
    forward = forgettable("athletes-16", tuple(athletes()))

    backward = forgettable("athletes-16", tuple(reversed(athletes())))

    assert forward == backward


def test_the_papers_own_file_is_read() -> None:
    folder = os.environ.get("UNLEARNBENCH_TEST_DATA")
    if not folder:
        pytest.skip("UNLEARNBENCH_TEST_DATA, a folder with sports/sports.csv, is not set")
    path = Path(folder) / "sports" / "sports.csv"

    for variant in (one for one in Sports.variants if not one.startswith("people-")):  # of invented people
        split = Sports(variant, str(path)).split(0)

        facts = (*split.forget, *split.maintain_train, *split.maintain_dev, *split.maintain_test)
        assert len({fact.subject for fact in facts}) == 1559
