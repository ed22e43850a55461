"""A finished edit of the same model, made with any other tool."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from unlearnbench.editing.localization import Localization
from unlearnbench.editing.method import History, Method
from unlearnbench.editing.place import EditingPlace
from unlearnbench.errors import UsageError
from unlearnbench.facts import FactsCard, TrainingSplit
from unlearnbench.model.digest import stored_digest
from unlearnbench.model.loading import stored_tensors
from unlearnbench.model.model import Model
from unlearnbench.model.source import ModelSource, fetch
from unlearnbench.registry import register


@register("checkpoint")
@dataclass(frozen=True, kw_only=True)
class Checkpoint(Method):
    """Takes the weights of a model that was edited elsewhere: `checkpoint[pretrained=FOLDER]`."""

    pretrained: Path = Path()
    """Folder or hub name of the edited model; its weights are part of the run's identity, where it lies is not."""

    def skip(self, facts: FactsCard, source: ModelSource) -> str | None:
        return None if self.pretrained.name else "it needs to be said where: checkpoint[pretrained=FOLDER]"

    def inputs(self, facts: FactsCard, source: ModelSource) -> dict[str, str]:
        return {"weights_sha256": stored_digest(self._folder())} if self.pretrained.name else {}

    def localize(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Localization:
        return Localization.everywhere(model)

    def edit(self, model: Model, split: TrainingSplit, where: Localization, place: EditingPlace) -> History:
        """Every tensor is replaced. Raises `UsageError` where the two models are not of one shape."""
        tensors = stored_tensors(self._folder())
        for name, parameter in model.parameters.items():
            if name not in tensors or tensors[name].shape != parameter.shape:
                found = f"shape {tuple(tensors[name].shape)}" if name in tensors else "nothing"
                what = f"{self.pretrained.name} is no edit of {place.source.name}"
                what += f": {name!r} has shape {tuple(parameter.shape)} here, and {found} there"
                raise UsageError(what, "give the model that it was made from")
        model.write({name: tensors[name] for name in model.parameters})
        return []

    def _folder(self) -> Path:
        return fetch(str(self.pretrained), None)[0]
