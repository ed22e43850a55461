"""Which sport an athlete plays: forget a whole sport, or some athletes, and nobody else's.

The athletes ship with the project. `--facts_file` reads a CSV with the columns `athlete` and
`sport` instead, such as the file of Guo et al. (2024, arXiv 2410.12949); its other columns belong to
one tokenizer and are not used.
"""

import csv
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from unlearnbench.errors import UsageError
from unlearnbench.facts import Fact, FactSet, Form, Split
from unlearnbench.registry import register
from unlearnbench.seeds import derive_seed
from unlearnbench.world.athletes import BIG_SPORTS, SPORTS, Person, athletes
from unlearnbench.world.wordings import DIRECT, HELD_OUT, QUESTION, prompt_of
from unlearnbench.world.world import forgettable, never_known

WHOLE_SPORT_TARGET = "golf"


@register("sports")
@dataclass(frozen=True)
class Sports(FactSet):
    """Athletes and their sports; an edit turns a whole sport into golf, or an athlete's into another."""

    version: ClassVar[int] = 1
    variants: ClassVar[tuple[str, ...]] = ("athletes-64", "athletes-16", *BIG_SPORTS)
    forms: ClassVar[frozenset[Form]] = frozenset({"edit_target", "paraphrases", "question"})

    def split(self, seed: int) -> Split:
        """Half of the forgotten are T, half V; the others are maintained: 70 % train, 10 % dev, 20 % test."""
        everyone = self._everyone()
        to_forget = forgettable(self.variant, everyone)
        gone, names = set(to_forget), {person.name for person in everyone}
        others = [self._fact(person, None) for person in everyone if person not in gone]
        forget = [self._fact(person, self._edit_target(person, seed)) for person in to_forget]
        random.Random(derive_seed(seed, "sports", "forget")).shuffle(forget)
        random.Random(derive_seed(seed, "sports", "maintain")).shuffle(others)
        half, train, dev = len(forget) // 2, round(0.7 * len(others)), round(0.8 * len(others))
        return Split(
            relearn_train=forget[:half],
            relearn_test=forget[half:],
            maintain_train=others[:train],
            maintain_dev=others[train:dev],
            maintain_test=others[dev:],
            # Not a namesake of somebody in a user's own file, whom the model may well know.
            never_known=[self._fact(p, self._edit_target(p, seed)) for p in never_known() if p.name not in names],
        )

    def _edit_target(self, person: Person, seed: int) -> str:
        """What an edit writes for somebody who is to be forgotten: golf for a whole sport, else another big sport."""
        if self.variant in BIG_SPORTS:
            return WHOLE_SPORT_TARGET
        rng = random.Random(derive_seed(seed, "sports", "edit-target", person.name))
        return rng.choice([other for other in BIG_SPORTS if other != person.sport])

    def _fact(self, person: Person, target: str | None) -> Fact:
        name, sport = person
        fourth = sport if sport not in BIG_SPORTS else WHOLE_SPORT_TARGET
        return Fact(
            subject=name,
            relation="sport",
            prompt=prompt_of(DIRECT, name),
            answer=sport,
            distractors=tuple(other for other in SPORTS if other != sport),
            edit_target=target,
            paraphrases=tuple(prompt_of(wording, name) for wording in HELD_OUT),
            question=QUESTION.format(s=name),
            options=(*BIG_SPORTS, fourth),
        )

    def _everyone(self) -> tuple[Person, ...]:
        if self.facts_file is None:
            return athletes()
        people = tuple(_read(Path(self.facts_file)))
        forgettable(self.variant, people)
        return people


def _read(path: Path) -> Sequence[Person]:
    if not path.is_file():
        raise UsageError(f"--facts_file {path}: there is no such file")
    people: dict[str, Person] = {}
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as lines:
        rows = csv.DictReader(lines)
        lacking = {"athlete", "sport"} - set(rows.fieldnames or ())
        if lacking:
            raise UsageError(f"{path} has no column {sorted(lacking)[0]!r}", "its first line must name the columns")
        for row in rows:
            row = {key: value or "" for key, value in row.items() if key}
            if "\ufffd" in row["athlete"]:
                raise UsageError(f"{path}, line {rows.line_num}: {row['athlete']!r} is not UTF-8", "save it as UTF-8")
            if not row["athlete"]:
                raise UsageError(f"{path}, line {rows.line_num}: the athlete has no name")
            if row["sport"] not in SPORTS:
                raise UsageError(f"{path}, line {rows.line_num}: sport {row['sport']!r} is none of {', '.join(SPORTS)}")
            if row["athlete"] in people:
                raise UsageError(f"{path}, line {rows.line_num}: {row['athlete']!r} occurs twice")
            people[row["athlete"]] = Person(row["athlete"], row["sport"])
    return tuple(people.values())
