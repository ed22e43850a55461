"""Components named by hand: what is known, or wished, to hold the facts."""

from __future__ import annotations

from dataclasses import dataclass

from unlearnbench.editing.localization import Localization
from unlearnbench.editing.localizer import Localizer
from unlearnbench.editing.place import EditingPlace
from unlearnbench.facts import TrainingSplit
from unlearnbench.model.model import Model
from unlearnbench.registry import register


@register("named")
@dataclass(frozen=True, kw_only=True)
class Named(Localizer):
    """The components that are named: `full_finetune[localizer=named[components=mlp.2+mlp.3]]`."""

    components: str = "mlp.0"
    """Names joined by `+`: `mlp.2`, `attention.0`, `embeddings`."""

    def localize(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Localization:
        """Raises `UnknownName` for a component that the model has not."""
        return Localization.named(model, self.components)
