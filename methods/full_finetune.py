"""Full fine-tuning: every parameter may change."""

from dataclasses import dataclass

from unlearnbench.editing.method import Method
from unlearnbench.registry import register


@register("full_finetune")
@dataclass(frozen=True, kw_only=True)
class FullFinetune(Method):
    """What `Method` does when nothing is overridden."""
