"""Real athletes and the sport each of them is known for (`data/athletes.csv`, compiled for this project)."""

import csv
from functools import cache
from pathlib import Path
from typing import NamedTuple

BIG_SPORTS = ("football", "baseball", "basketball")
SPORTS = (*BIG_SPORTS, "tennis", "golf")
FILE = Path(__file__).parent / "data" / "athletes.csv"


class Person(NamedTuple):
    """Somebody with one sport, real or invented."""

    name: str
    sport: str


@cache
def athletes() -> tuple[Person, ...]:
    """All athletes of the world, in file order."""
    with FILE.open(newline="", encoding="utf-8") as rows:
        return tuple(Person(row["athlete"], row["sport"]) for row in csv.DictReader(rows))
