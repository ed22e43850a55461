"""All MLPs: nothing but the layer type is chosen."""

from dataclasses import dataclass

from unlearnbench.editing.localization import Localization
from unlearnbench.editing.method import Method, Workplace
from unlearnbench.facts import TrainingSplit
from unlearnbench.model.model import Model
from unlearnbench.registry import register


@register("all_mlps")
@dataclass(frozen=True, kw_only=True)
class AllMlps(Method):
    """Fine-tune the MLP of every block. It has no budget: it is the upper end of MLP localizations."""

    def localize(self, model: Model, split: TrainingSplit, place: Workplace) -> Localization:
        """Every MLP."""
        return Localization.of(model, [name for name in model.components if name.startswith("mlp.")])
