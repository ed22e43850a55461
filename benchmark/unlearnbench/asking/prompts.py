"""Asking facts in the wording they are trained in, and what is measured of every question with given answers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from unlearnbench.asking.questions import Question, answered
from unlearnbench.asking.row import Axis, Direction, Metric, Row
from unlearnbench.facts import Fact, Split
from unlearnbench.model.scoring import Asked

if TYPE_CHECKING:
    from unlearnbench.model.model import Model


def ask_directly(model: Model, facts: Sequence[Fact], subset: str, batch_size: int) -> list[Row]:
    """Score each fact's own prompt: one row per fact."""
    return ask_with(model, facts, [fact.prompt for fact in facts], subset, batch_size)


def ask_with(model: Model, facts: Sequence[Fact], prompts: Sequence[str], subset: str, batch_size: int) -> list[Row]:
    """Score each fact's choices after the prompt given for it: one row per fact."""
    asked = (Asked(prompt, fact.choices) for fact, prompt in zip(facts, prompts, strict=True))
    return answered(model, [Question(fact, one, subset) for fact, one in zip(facts, asked, strict=True)], batch_size)


def chance(facts: Sequence[Fact], split: Split) -> float:
    """The accuracy of somebody who knows how common each answer is, and nothing about the subjects.

    Each fact's answer is guessed among its choices, each as often as it is the answer to *other* facts of the relation,
    forgotten or kept, counting every choice once more (Laplace's rule). One over the number of choices would be too low
    a bar where some choices hardly ever are an answer.
    """
    answers = Counter((fact.relation, fact.answer) for fact in (*split.forget, *split.maintain_test))
    return math.fsum(_guess(fact, answers) for fact in facts) / len(facts)


def _guess(fact: Fact, answers: Counter[tuple[str, str]]) -> float:
    counts = {choice: answers[fact.relation, choice] + 1 for choice in fact.choices}
    counts[fact.answer] = max(1, counts[fact.answer] - 1)  # the fact itself, where it is among those counted
    return counts[fact.answer] / sum(counts.values())


def standard_metrics(
    facts: Sequence[Fact], subset: str, axis: Axis, guess: float | None, *, prefix: str = ""
) -> list[Metric]:
    """The metrics of a static question: about the true answer, and about the edit target where facts have one.

    On facts to keep (`axis="retain"`) an edit target says nothing, and higher is better.
    """
    true: Direction = "max" if axis == "retain" else "oracle"
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
        if any(fact.edit_target and len(fact.choices) > 2 for fact in facts):
            found.append(Metric(f"{prefix}true_beats_others", "true_beats_others", subset, axis, true, 0.5))
    return found
