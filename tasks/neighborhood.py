"""And what was next to it? Other subjects, of whom the same answer is true, asked in the edited wording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from unlearnbench.asking.place import AskingPlace
from unlearnbench.asking.prompts import chance, standard_metrics
from unlearnbench.asking.row import Metric, Row, row_about
from unlearnbench.asking.task import Task
from unlearnbench.errors import UsageError
from unlearnbench.facts import Form, Split
from unlearnbench.model.model import Model
from unlearnbench.model.scoring import Asked, score
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

    def rows(self, model: Model, split: Split, place: AskingPlace) -> list[Row]:
        """One row per fact and neighbour; a fact's neighbours are one cluster."""
        items = [(f, i, Asked(p, f.choices)) for f in split.forget for i, p in enumerate(f.neighbours)]
        if not items:
            raise UsageError("no fact to forget has a neighbour that nobody trains on", "forget or keep fewer facts")
        found = score(model, [asked for *_, asked in items], place.batch_size)
        return [
            row_about(fact, asked, scored, "neighborhood", f"neighbour-{number}")
            for (fact, number, asked), scored in zip(items, found, strict=True)
        ]
