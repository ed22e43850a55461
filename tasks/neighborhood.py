"""And what was next to it? Other subjects, of whom the same answer is true, asked in the edited wording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from unlearnbench.asking.place import AskingPlace
from unlearnbench.asking.prompts import chance, standard_metrics
from unlearnbench.asking.questions import Question, answered
from unlearnbench.asking.row import Metric, Row
from unlearnbench.asking.task import Task
from unlearnbench.errors import UsageError
from unlearnbench.facts import Form, Split
from unlearnbench.model.model import Model
from unlearnbench.model.scoring import Asked
from unlearnbench.registry import register


@register("neighborhood")
@dataclass(frozen=True, kw_only=True)
class Neighborhood(Task):
    """The neighbours of every fact to forget, none of which was trained on or is itself forgotten."""

    version: ClassVar[int] = 1
    primary: ClassVar[str] = "accuracy"
    order: ClassVar[int] = 40
    needs: ClassVar[frozenset[Form]] = frozenset({"neighbours"})

    def metrics(self, split: Split) -> Sequence[Metric]:
        """Accuracy and probability of what was and stays true, higher is better; of the edit target, lower."""
        near = [fact for fact in split.forget if fact.has("neighbours")]
        guess = chance(near, split) if near else None
        found = standard_metrics(near, "neighborhood", "retain", guess)
        if any(fact.edit_target for fact in near):
            found += [
                Metric("edit_accuracy", "edit_accuracy", "neighborhood", "retain", "min", guess),
                Metric("p_edit", "p_edit", "neighborhood", "retain", "min"),
            ]
        return found

    def questions(self, split: Split) -> list[Question]:
        """One for each fact and neighbour; a fact's neighbours are one cluster."""
        return [
            Question(fact, Asked(prompt, fact.choices), "neighborhood", f"neighbour-{number}")
            for fact in split.forget
            for number, prompt in enumerate(fact.neighbours)
        ]

    def rows(self, model: Model, split: Split, place: AskingPlace) -> list[Row]:
        """Raises `UsageError` where no fact has a neighbour."""
        questions = self.questions(split)
        if not questions:
            raise UsageError("no fact to forget has a neighbour that nobody trains on", "forget or keep fewer facts")
        return answered(model, questions, place.batch_size)
