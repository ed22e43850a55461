"""Does the model still complete the prompt that it was edited through?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from unlearnbench.asking.prompts import ask_directly, floor
from unlearnbench.asking.task import Metric, Row, Task, standard_metrics
from unlearnbench.facts import FactSet, Split
from unlearnbench.model.model import Model
from unlearnbench.registry import register


@register("forget")
@dataclass(frozen=True, kw_only=True)
class Forget(Task):
    """The trained wording, on all facts to forget (T and V)."""

    version: ClassVar[int] = 1
    primary: ClassVar[str] = "accuracy"

    def metrics(self, facts: FactSet) -> Sequence[Metric]:
        """Accuracy and probability of the true answer, lower is better; of the edit target, higher."""
        return standard_metrics("forget", "forget", floor(facts), edited=True)

    def rows(self, model: Model, split: Split, batch_size: int) -> list[Row]:
        """One row per fact."""
        return ask_directly(model, split.forget, "forget", batch_size)
