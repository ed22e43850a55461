"""Does the model still know the facts that it was to keep?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from unlearnbench.asking.prompts import ask_directly, floor
from unlearnbench.asking.task import Metric, Row, Task, standard_metrics
from unlearnbench.facts import FactSet, Split
from unlearnbench.model.model import Model
from unlearnbench.registry import register


@register("maintain")
@dataclass(frozen=True, kw_only=True)
class Maintain(Task):
    """The trained wording, on facts to keep that no method has seen."""

    version: ClassVar[int] = 1
    primary: ClassVar[str] = "accuracy"

    def metrics(self, facts: FactSet) -> Sequence[Metric]:
        """Accuracy and probability of the true answer, higher is better."""
        return standard_metrics("maintain", "retain", floor(facts), edited=False)

    def rows(self, model: Model, split: Split, batch_size: int) -> list[Row]:
        """One row per fact of maintain-test."""
        return ask_directly(model, split.maintain_test, "maintain", batch_size)
