"""Real athletes and the sport each of them is known for (`data/athletes.csv`, compiled for this project).

For real models: no organism is taught anything about a real person.
"""

import csv
from functools import cache
from pathlib import Path

from unlearnbench.world.people import Person

FILE = Path(__file__).parent / "data" / "athletes.csv"


@cache
def athletes() -> tuple[Person, ...]:
    """All athletes, in file order."""
    with FILE.open(newline="", encoding="utf-8") as rows:
        return tuple(Person(row["athlete"], row["sport"]) for row in csv.DictReader(rows))
