"""The model that never saw the facts to forget: the reference called *oracle*."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from unlearnbench.digest import stored_digest
from unlearnbench.factset import FactSet
from unlearnbench.loading import oracle_tensors
from unlearnbench.localization import Localization
from unlearnbench.method import Method, Workplace
from unlearnbench.model import Model
from unlearnbench.organisms.shipped import oracle_folder, oracles
from unlearnbench.registry import register
from unlearnbench.source import ModelSource
from unlearnbench.split import TrainingSplit
from unlearnbench.training import History


@register("oracle")
@dataclass(frozen=True, kw_only=True)
class Oracle(Method):
    """Takes the weights of the same pretraining without the forget facts; exists for organisms only."""

    trains: ClassVar[bool] = False

    def skip(self, facts: FactSet, source: ModelSource) -> str | None:
        """An oracle has to have been pretrained."""
        if source.kind != "organism":
            return f"nobody pretrained {source.name} without these facts; oracles exist for organisms"
        if facts.facts_file is not None or oracle_folder(source.name, facts.forgets) is None:
            return f"{source.name} ships with oracles for {', '.join(oracles(source.name)) or 'nothing'} only"
        return None

    def inputs(self, facts: FactSet, source: ModelSource) -> dict[str, str]:
        """The oracle's weights."""
        folder = oracle_folder(source.name, facts.forgets)
        return {} if folder is None else {"oracle_sha256": stored_digest(folder)}

    def edit(self, model: Model, split: TrainingSplit, where: Localization, place: Workplace) -> History:
        """Every tensor is replaced."""
        tensors = oracle_tensors(place.source.name, place.facts.forgets)
        with torch.no_grad():
            for name, parameter in model.parameters.items():
                parameter.copy_(tensors[name])
        return []
