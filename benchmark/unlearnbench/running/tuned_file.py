"""Tuned settings as a file: every trial of every method, and what was chosen by the one rule for all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from unlearnbench.editing.goal import LOST, keeps
from unlearnbench.errors import UnknownName, UsageError
from unlearnbench.records.store import replace_file
from unlearnbench.running.words import parse_method


class Trial(BaseModel):
    """One edit with some settings, as it was seen on T, maintain-dev and retain text."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    settings: dict[str, float]
    edit_hash: str
    """Identity of the edit: the same trial is not done twice, one with other code is."""
    known: float | None = None
    """Share of T whose truth is still the likeliest choice; None where the edit is invalid."""
    p_true: float | None = None
    """Mean probability of the true answers of T."""
    kept: float | None = None
    """Share of maintain-dev that is still known."""
    retain_loss: float | None = None
    """Loss on retain text that is never trained on."""
    seconds: float
    """Of the edit."""
    invalid: str | None = None
    """Why it is no result."""


class TunedMethod(BaseModel):
    """A method's trials, and the word that was chosen."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: str
    """The word that was tuned."""
    trials: tuple[Trial, ...] = ()
    chosen: str | None = None
    """The word with the chosen settings; None before all trials are done, and where none of them is valid."""
    within: bool = False
    """Whether the choice keeps to the bound."""


class TunedFile(BaseModel):
    """What `unlearnbench tune` writes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["unlearnbench-tuned-1"] = "unlearnbench-tuned-1"
    model: str
    weights_sha256: str
    facts: str
    seed: int
    """Of the split that was tuned on; runs that are compared take others."""
    most_lost: float = LOST
    """Share of maintain-dev that a choice may lose."""
    kept_before: float
    """Share of maintain-dev that is known before any edit."""
    guess: float
    """Share of T that a guess knows: less is no better."""
    methods: tuple[TunedMethod, ...] = ()

    def write(self, path: Path) -> None:
        """Replaces the file atomically."""
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.model_dump(mode="json", exclude_none=True), indent=1, ensure_ascii=False)
        replace_file(path, f"{text}\n".encode())

    def found(self, word: str) -> TunedMethod | None:
        """What is there of a method."""
        return next((one for one in self.methods if one.method == word), None)


def read_tuned(path: Path) -> TunedFile:
    """Raises `UsageError` for a file that is not there, or is no such file."""
    if not path.is_file():
        raise UsageError(
            f"there is no file of tuned settings {str(path)!r}", "`unlearnbench tune --output FILE` makes one"
        )
    try:
        return TunedFile.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"{path.name}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except (ValueError, OSError) as error:
        raise UsageError(f"{path.name} is no JSON: {error}") from None


def best(trials: Sequence[Trial], kept_before: float, guess: float, most_lost: float = LOST) -> tuple[int, bool]:
    """Which trial is chosen, and whether it keeps to the bound. Raises `ValueError` where none is valid.

    Of those that lose at most `most_lost` of maintain-dev, the one that knows least of T; knowing less than a guess
    does is no merit. Of equals, the one that keeps most, then that with the least probability of the truth. Where none
    keeps to the bound, the one of the largest product of what is forgotten and what is kept.
    """
    able = [(number, one) for number, one in enumerate(trials) if one.invalid is None]
    if not able:
        raise ValueError("none of the trials is valid")

    def known(one: Trial) -> float:
        return max(one.known or 0.0, guess)

    within = [(n, one) for n, one in able if keeps(one.kept or 0.0, kept_before, most_lost)]
    if within:
        return min(within, key=lambda pair: (known(pair[1]), -(pair[1].kept or 0.0), pair[1].p_true or 0.0))[0], True
    return max(able, key=lambda pair: ((1 - known(pair[1])) * (pair[1].kept or 0.0), -pair[0]))[0], False


def front(trials: Sequence[Trial]) -> list[int]:
    """The trials of which none other both knows less of T and keeps as much, or keeps more and knows as little.

    Of equals, the first.
    """
    able = [(n, one.known or 0.0, one.kept or 0.0) for n, one in enumerate(trials) if one.invalid is None]

    def beaten(known: float, kept: float) -> bool:
        return any(k <= known and m >= kept and (k, m) != (known, kept) for _, k, m in able)

    found = {(known, kept): n for n, known, kept in reversed(able) if not beaten(known, kept)}
    return sorted(found.values())


def tuned_words(words: Sequence[str], found: TunedFile, source: str) -> list[str]:
    """The words with what was chosen for them; methods that nothing can be tuned of stay.

    Raises `UnknownName` for a method that the file says nothing of, `UsageError` for one without a choice.
    """
    able = {one.method: one for one in found.methods}
    result = []
    for word in words:
        if not parse_method(word).tuned_over:
            result.append(word)
        elif word not in able:
            raise UnknownName(f"method tuned in {source}", word, able)
        elif (chosen := able[word].chosen) is None:
            reasons = {trial.invalid for trial in able[word].trials if trial.invalid}
            hint = f"no trial was valid: {min(reasons)}" if reasons else "run the same `unlearnbench tune` again"
            raise UsageError(f"{source}: {word} has no choice", hint)
        else:
            result.append(chosen)
    return result
