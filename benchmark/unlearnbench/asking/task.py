"""A task: a scored question asked of an edited model, one row per item."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from unlearnbench.asking.scoring import Asked, Scored
from unlearnbench.facts import FactSet, Split
from unlearnbench.hashing import text_hash
from unlearnbench.model.model import Model
from unlearnbench.model.source import ModelSource

Direction = Literal["min", "max"]
Axis = Literal["forget", "retain", "robust", "general"]


@dataclass(frozen=True)
class Row:
    """What one item says: the item log's line, from which every aggregate is recomputed."""

    item: str
    """Fact, wording and order of options."""
    cluster: str
    """The subject: items of one subject are not independent."""
    part: str
    """Which part of the split the item is from."""
    prompt_sha256: str
    choices: tuple[str, ...]
    gold: int
    """Which choice is true."""
    logprobs: tuple[float, ...]
    decision: int
    margin: float
    """By how much the decision leads (nats); 0 is a tie."""
    values: Mapping[str, float]
    """What the metrics average."""


@dataclass(frozen=True)
class Metric:
    """One number of a task: the mean of one value over the rows of one part."""

    name: str
    value: str
    """The key in `Row.values`."""
    part: str
    axis: Axis
    better: Direction
    chance: float | None = None
    """What guessing gives, where that is known."""


@dataclass(frozen=True, kw_only=True)
class Task(ABC):
    """A question. A subclass is one final file in `tasks/`; its fields are settings."""

    name: ClassVar[str]
    """The question; a task is called `<fact set>/<question>`."""
    version: ClassVar[int]
    """Raised whenever prompts or scoring change: scores of two versions are not comparable."""
    primary: ClassVar[str]
    """The metric that tables show."""
    trains: ClassVar[bool] = False
    """Whether it trains the model; the runner then copies all weights and puts them back."""

    def resolved(self, source: ModelSource) -> "Task":
        """The same task with what the model decides filled in, as it is recorded and hashed."""
        return self

    @abstractmethod
    def metrics(self, facts: FactSet) -> Sequence[Metric]:
        """What is measured, with its direction."""

    @abstractmethod
    def rows(self, model: Model, split: Split, batch_size: int) -> list[Row]:
        """Ask the model; must leave it as it was."""


def row_of(asked: Asked, scored: Scored, *, item: str, cluster: str, part: str, target: str | None, gold: str) -> Row:
    """The row of one scored question, with the values that all static tasks share.

    `accuracy` and `p_true` concern the true answer, `edit_accuracy` and `p_edit` the edit target,
    `valid` whether the likeliest token of all begins an answer, `tie` whether two answers tie for the
    lead; an answer that ties with k − 1 others counts 1/k.
    """
    true = asked.choices.index(gold)
    values = {
        "accuracy": scored.share(true),
        "p_true": math.exp(scored.logprobs[true]),
        "valid": float(scored.valid),
        "tie": float(scored.margin == 0.0),
    }
    if target is not None and target in asked.choices:
        edited = asked.choices.index(target)
        values["edit_accuracy"] = scored.share(edited)
        values["p_edit"] = math.exp(scored.logprobs[edited])
    return Row(
        item=item,
        cluster=cluster,
        part=part,
        prompt_sha256=text_hash(asked.prompt),
        choices=asked.choices,
        gold=true,
        logprobs=scored.logprobs,
        decision=scored.decision,
        margin=scored.margin,
        values=values,
    )


def standard_metrics(part: str, axis: Axis, chance: float | None, *, edited: bool, prefix: str = "") -> list[Metric]:
    """Accuracy, probability, valid-answer and tie rate of one part; and the edit's, where it has a target."""
    better: Direction = "min" if axis == "forget" else "max"
    found = [
        Metric(f"{prefix}accuracy", "accuracy", part, axis, better, chance),
        Metric(f"{prefix}p_true", "p_true", part, axis, better),
        Metric(f"{prefix}valid", "valid", part, "general", "max"),
        Metric(f"{prefix}ties", "tie", part, "general", "min"),
    ]
    if edited:
        found += [
            Metric(f"{prefix}edit_accuracy", "edit_accuracy", part, axis, "max", chance),
            Metric(f"{prefix}p_edit", "p_edit", part, axis, "max"),
        ]
    return found


def clusters_of(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Rows by cluster, in order of appearance."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.cluster, []).append(row)
    return found
