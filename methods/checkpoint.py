"""A finished edit of the same model, made with any other tool."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unlearnbench.editing.localization import Localization
from unlearnbench.editing.method import History, Method
from unlearnbench.editing.place import EditingPlace
from unlearnbench.errors import UsageError
from unlearnbench.facts import TrainingSplit
from unlearnbench.factset import FactsCard
from unlearnbench.model.digest import stored_digest
from unlearnbench.model.loading import load
from unlearnbench.model.model import Model
from unlearnbench.model.saving import as_loaded
from unlearnbench.model.source import Located, ModelSource, fetch
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
        """Every tensor is replaced. Raises `UsageError` where the two models are not of one shape and configuration."""
        there = load(Located(source=place.source, folder=self._folder()), str(model.device))
        for name in {**there.parameters, **model.parameters}:
            mine, theirs = (one.parameters[name].shape if name in one.parameters else None for one in (model, there))
            if mine != theirs:
                what = f"{self.pretrained.name} is no edit of {place.source.name}"
                shapes = f"shape {_told(mine)} here, and {_told(theirs)} there"
                raise UsageError(f"{what}: {name!r} has {shapes}", "give the model that it was made from")
        here, other = (_decisive(one.network.config.to_dict()) for one in (model, there))
        different = [key for key in {**here, **other} if here.get(key) != other.get(key)]
        if different:
            what = f"{self.pretrained.name} has another configuration than {place.source.name}: {different[0]!r}"
            raise UsageError(what, "give the model that it was made from")
        model.write({name: parameter.detach() for name, parameter in there.parameters.items()})
        return []

    def _folder(self) -> Path:
        return fetch(str(self.pretrained), None)[0]


def _told(shape: tuple[int, ...] | None) -> str:
    return "none" if shape is None else str(tuple(shape))


def _decisive(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration without what says only where and with what it was saved."""
    told = ("_name_or_path", "transformers_version", "torch_dtype", "dtype", "architectures", "use_cache")
    return {key: value for key, value in as_loaded(config).items() if key not in told}
