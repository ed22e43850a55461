"""Which sport somebody plays: forget some people's, or all who play one sport, and nobody else's.

`people-…` are invented and known to the organisms. `athletes-…` and the names of single sports are
about real athletes, for real models; they ship with the project. `--facts_file` reads a CSV with the
columns `athlete` and `sport` instead, such as the file of Guo et al. (2024, arXiv 2410.12949); its other
columns belong to one tokenizer and are not used.
"""

import csv
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from unlearnbench.errors import UsageError
from unlearnbench.facts import Fact, Form, Split
from unlearnbench.factset import FactSet
from unlearnbench.registry import register
from unlearnbench.seeds import derive_seed
from unlearnbench.strata import cut, other_answers
from unlearnbench.world.athletes import athletes
from unlearnbench.world.forgotten import forgettable
from unlearnbench.world.people import BIG_SPORTS, SPORTS, Person, never_known, people
from unlearnbench.world.wordings import DIRECT, HELD_OUT, QUESTION, prompt_of

WHOLE_SPORT_TARGET = "golf"
OPTIONS = 4


@register("sports")
@dataclass(frozen=True)
class Sports(FactSet):
    """People and their sports; an edit turns a whole sport into golf, or somebody's into another."""

    version: ClassVar[int] = 2
    variants: ClassVar[tuple[str, ...]] = (
        "people-64",
        "people-16",
        "people-basketball",
        "athletes-64",
        "athletes-16",
        *BIG_SPORTS,
    )
    forms: ClassVar[frozenset[Form]] = frozenset({"edit_target", "paraphrases", "question"})

    def split(self, seed: int) -> Split:
        """T and V halve the forgotten by answer and edit target; of the others 70 % train, 10 % dev, 20 % test."""
        everyone = self._everyone()
        to_forget = forgettable(self.variant, everyone)
        gone, names = set(to_forget), {person.name for person in everyone}
        others = [self._fact(person, None, seed) for person in everyone if person not in gone]
        forget = self._to_forget(to_forget, seed)
        relearn_train, relearn_test = cut(forget, lambda f: (f.answer, f.edit_target), (0.5, 0.5), _rng(seed, "forget"))
        train, dev, test = cut(others, lambda f: f.answer, (0.7, 0.1, 0.2), _rng(seed, "maintain"))
        return Split(relearn_train, relearn_test, train, dev, test, self._never_known(to_forget, names, seed))

    @property
    def real(self) -> bool:
        """Athletes are real, people are not."""
        return self.facts_file is None and not self.variant.startswith("people-")

    @property
    def _sport(self) -> str | None:
        """The sport that is forgotten as a whole, if one is."""
        sport = self.variant.removeprefix("people-")
        return sport if sport in SPORTS else None

    def _to_forget(self, chosen: Sequence[Person], seed: int) -> list[Fact]:
        """Golf for a whole sport; else another of the sports that are forgotten, all in equal numbers."""
        if self._sport:
            targets = [WHOLE_SPORT_TARGET] * len(chosen)
        else:
            choices = [sport for sport in SPORTS if any(person.sport == sport for person in chosen)]
            targets = other_answers([person.sport for person in chosen], choices, _rng(seed, "edit-target"))
        return [self._fact(person, target, seed) for person, target in zip(chosen, targets, strict=True)]

    def _never_known(self, forgotten: Sequence[Person], names: set[str], seed: int) -> list[Fact]:
        """As many people nobody wrote about, with the answers of the forgotten: the same attack can be made on them.

        Whoever has a namesake in a user's own file is left out: the model may well know them.
        """
        sports = {person.sport for person in forgotten}
        if self._sport:
            able = [Person(person.name, self._sport) for person in never_known()]
        else:
            able = [person for person in never_known() if person.sport in sports]
        unknown = [person for person in able if person.name not in names]
        return self._to_forget(unknown[: len(forgotten)], derive_seed(seed, "never-known"))

    def _fact(self, person: Person, target: str | None, seed: int) -> Fact:
        name, sport = person
        others = [other for other in SPORTS if other not in (sport, target)]
        drawn = _rng(seed, "options", name).sample(others, OPTIONS - 1 - (target is not None))
        return Fact(
            subject=name,
            relation="sport",
            prompt=prompt_of(DIRECT, name),
            answer=sport,
            distractors=tuple(other for other in SPORTS if other != sport),
            edit_target=target,
            paraphrases=tuple(prompt_of(wording, name) for wording in HELD_OUT),
            question=QUESTION.format(s=name),
            # One sport is missing, never the answer or the target, and else any: which are there tells nothing.
            options=tuple(s for s in SPORTS if s in (sport, target, *drawn)),
        )

    def _everyone(self) -> tuple[Person, ...]:
        if self.facts_file is None:
            return people() if self.variant.startswith("people-") else athletes()
        read = tuple(_read(Path(self.facts_file)))
        invented = {person.name: person.sport for person in people()}
        for person in read:
            if invented.get(person.name, person.sport) != person.sport:
                raise UsageError(
                    f"{self.facts_file}: {person.name} plays {person.sport} there, and {invented[person.name]} in the"
                    " organisms' world",
                    "give them another name",
                )
        forgettable(self.variant, read)
        return read


def _rng(seed: int, *purpose: str) -> random.Random:
    return random.Random(derive_seed(seed, "sports", *purpose))


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
