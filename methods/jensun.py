"""JensUn, of every parameter: bounded divergences instead of cross-entropies."""

from dataclasses import dataclass

from unlearnbench.editing.finetuning import FineTuning, Weight
from unlearnbench.editing.objective import Objective
from unlearnbench.registry import register
from unlearnbench.settings import preset


@register("jensun")
@dataclass(frozen=True, kw_only=True)
class JensUn(FineTuning):
    """Fine-tune to refusals and to the model before, by bounded divergences alone."""

    objective: Objective = preset(Objective, "jensun")
    """What is minimized on the facts to forget."""
    maintain_weight: Weight = 0.0
    """Weight of the cross-entropy on facts to keep."""
    retain_weight: Weight = 0.0
    """Weight of the cross-entropy on plain text."""
