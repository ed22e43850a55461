"""Asking facts in the wording they are trained in, and what is measured of every question with given answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from unlearnbench.asking.row import Axis, Direction, Metric, Row, row_of
from unlearnbench.asking.scoring import Asked, score
from unlearnbench.facts import Fact

if TYPE_CHECKING:
    from unlearnbench.model.model import Model


def ask_directly(model: Model, facts: Sequence[Fact], subset: str, batch_size: int) -> list[Row]:
    """Score each fact's own prompt: one row per fact."""
    asked = [Asked(fact.prompt, fact.choices) for fact in facts]
    return [
        row_of(
            question,
            scored,
            item=fact.id,
            cluster=fact.subject,
            subset=subset,
            target=fact.edit_target,
            gold=fact.answer,
        )
        for fact, question, scored in zip(facts, asked, score(model, asked, batch_size), strict=True)
    ]


def chance(facts: Sequence[Fact]) -> float:
    """The accuracy of a uniform guess among the answers that are scored."""
    return 1 / len(facts[0].choices)


def standard_metrics(
    facts: Sequence[Fact], subset: str, axis: Axis, guess: float | None, *, prefix: str = ""
) -> list[Metric]:
    """The metrics of a static question: about the true answer, and about the edit target where facts have one.

    On facts to keep (`axis="retain"`) an edit target says nothing, and higher is better.
    """
    true: Direction = "max" if axis == "retain" else "min"
    found = [
        Metric(f"{prefix}accuracy", "accuracy", subset, axis, true, guess),
        Metric(f"{prefix}p_true", "p_true", subset, axis, true),
        Metric(f"{prefix}valid", "valid", subset, "general", "max"),
        Metric(f"{prefix}ties", "tie", subset, "general", "min"),
    ]
    if axis != "retain" and any(fact.edit_target for fact in facts):
        found += [
            Metric(f"{prefix}edit_accuracy", "edit_accuracy", subset, axis, "max", guess),
            Metric(f"{prefix}p_edit", "p_edit", subset, axis, "max"),
        ]
    return found
