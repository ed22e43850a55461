"""What one item says, and what is averaged over items."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from unlearnbench.facts import Fact
from unlearnbench.hashing import text_hash
from unlearnbench.model.scoring import Asked, Scored

Direction = Literal["min", "max", "oracle"]
Axis = Literal["forget", "retain", "robust", "general"]
Coordinate = int | float | str


LOGGED = 6
DIGITS = 16


@dataclass(frozen=True)
class Row:
    """What one item says: the item log's line, from which every aggregate is recomputed.

    Only the first four fields are needed; an item that is no question with given answers has no choices.
    """

    item: str
    """Fact, wording and order of options."""
    cluster: str
    """The subject: items of one subject are not independent."""
    subset: str
    """Which subset of the split the item is from."""
    values: Mapping[str, float]
    """What the metrics average."""
    at: Mapping[str, Coordinate] = field(default_factory=dict)
    """Where on the axes of its metrics it was measured: `{"layer": 3}`, `{"step": 30}`."""
    prompt_sha256: str | None = None
    choices: tuple[str, ...] = ()
    gold: int | None = None
    """Which choice is true."""
    target: int | None = None
    """Which choice is the edit target."""
    logprobs: tuple[float, ...] = ()

    @property
    def decision(self) -> int | None:
        """The likeliest choice, the first of those that tie; None where there are no choices."""
        return self.logprobs.index(max(self.logprobs)) if self.logprobs else None

    @property
    def margin(self) -> float | None:
        """By how much it leads (nats); 0 is a tie."""
        if not self.logprobs:
            return None
        first, second = sorted(self.logprobs, reverse=True)[:2]
        return first - second

    def saying(self, **values: float) -> Row:
        """The same with these values, too."""
        return replace(self, values={**self.values, **values})

    def as_line(self) -> dict[str, Any]:
        """The item log's line, as short as says it: what the item does not have is left out.

        Of log-likelihoods six decimals (float32 has no more of ten nats), of the prompt's digest sixteen digits.
        """
        left_out: tuple[Any, ...] = (None, (), {})
        line = {name: value for name, value in vars(self).items() if name == "values" or value not in left_out}
        if self.logprobs:
            line["logprobs"] = [round(value, LOGGED) for value in self.logprobs]
        if self.prompt_sha256 is not None:
            line["prompt"] = line.pop("prompt_sha256").removeprefix("sha256:")[:DIGITS]
        return line


@dataclass(frozen=True)
class Metric:
    """One number of a task: the mean of one value over the rows of one subset, at each of their coordinates.

    With `floor` and `ceiling` it is (mean − floor) / (ceiling − floor). Both are means of the same value, at the same
    coordinates, or at none where the subset has no rows with them.
    """

    name: str
    value: str
    """The key in `Row.values`."""
    subset: str
    axis: Axis
    better: Direction
    chance: float | None = None
    """What guessing gives, where that is known."""
    at: tuple[str, ...] = ()
    """Names of its coordinates, such as `layer` or `step`: it is then a curve, one number for each."""
    floor: str | float | None = None
    """With a ceiling: the mean as a share of the way from the floor, a subset or a number, …"""
    ceiling: str | None = None
    """… to this subset; left out where the two are less than .1 apart."""
    weight: str | None = None
    """The key in `Row.values` of what each row counts, such as its words; all count alike where there is none."""


def probability(logprob: float) -> float:
    """p of a log-likelihood, to six significant digits: what is averaged is what is logged."""
    return float(f"{math.exp(logprob):.6g}")


def accuracy_of(rows: Sequence[Row]) -> float:
    """The mean of their `accuracy`."""
    return math.fsum(row.values["accuracy"] for row in rows) / len(rows)


def row_about(fact: Fact, asked: Asked, scored: Scored, subset: str, form: str = "") -> Row:
    """The row of a fact that was asked with its own answers; `form` says in which of several wordings."""
    return row_of(
        asked,
        scored,
        item=f"{fact.id}#{form}" if form else fact.id,
        cluster=fact.subject,
        subset=subset,
        target=fact.edit_target,
        gold=fact.answer,
    )


def row_of(asked: Asked, scored: Scored, *, item: str, cluster: str, subset: str, target: str | None, gold: str) -> Row:
    """The row of one scored question, with the values that all static tasks share.

    `accuracy` and `p_true` concern the true answer, `edit_accuracy` and `p_edit` the edit target,
    `true_beats_others` the share of answers that are neither, and less likely than the true one (one half is a
    guess: an edit that only puts its target on top leaves it high), `valid` whether the likeliest token of all begins
    an answer, `tie` whether two answers tie for the lead; an answer that ties with k − 1 others is credited 1/k.
    """
    true = asked.choices.index(gold)
    values = {
        "accuracy": scored.credit(true),
        "p_true": probability(scored.logprobs[true]),
        "valid": float(scored.valid),
        "tie": float(scored.margin == 0.0),
    }
    edited = asked.choices.index(target) if target is not None and target in asked.choices else None
    if edited is not None:
        values["edit_accuracy"] = scored.credit(edited)
        values["p_edit"] = probability(scored.logprobs[edited])
        others = [p for i, p in enumerate(scored.logprobs) if i not in (true, edited)]
        if others:
            beaten = [float(scored.logprobs[true] > p) + 0.5 * (scored.logprobs[true] == p) for p in others]
            values["true_beats_others"] = math.fsum(beaten) / len(beaten)
    return Row(
        item=item,
        cluster=cluster,
        subset=subset,
        prompt_sha256=text_hash(asked.prompt),
        choices=asked.choices,
        gold=true,
        target=edited,
        logprobs=scored.logprobs,
        values=values,
    )
