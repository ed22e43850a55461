"""Random wrong answers, in every parameter."""

from dataclasses import dataclass

from unlearnbench.editing.finetuning import FineTuning
from unlearnbench.editing.objective import Objective
from unlearnbench.registry import register
from unlearnbench.settings import preset


@register("random_answer")
@dataclass(frozen=True, kw_only=True)
class RandomAnswer(FineTuning):
    """Fine-tune to something wrong, and something else at each step."""

    objective: Objective = preset(Objective, "random_answer")
    """What is minimized on the facts to forget."""
