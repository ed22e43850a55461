"""The model that never saw the facts to forget: the reference called *oracle*."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from unlearnbench.editing.localization import Localization
from unlearnbench.editing.method import Method, Workplace
from unlearnbench.editing.training import History
from unlearnbench.facts import FactSet, TrainingSplit
from unlearnbench.model.digest import stored_digest
from unlearnbench.model.loading import oracle_tensors
from unlearnbench.model.model import Model
from unlearnbench.model.shipped import oracle_folder, oracles
from unlearnbench.model.source import ModelSource
from unlearnbench.registry import register


@register("oracle")
@dataclass(frozen=True, kw_only=True)
class Oracle(Method):
    """Takes the weights of the same pretraining without the forget facts; exists for organisms only."""

    trains: ClassVar[bool] = False

    def skip(self, facts: FactSet, source: ModelSource) -> str | None:
        """An oracle has to have been pretrained."""
        if source.kind != "organism":
            return f"nobody pretrained {source.name} without these facts; oracles exist for organisms"
        if facts.facts_file is not None or oracle_folder(source.name, facts.label) is None:
            return f"{source.name} ships with oracles for {', '.join(oracles(source.name)) or 'nothing'} only"
        return None

    def inputs(self, facts: FactSet, source: ModelSource) -> dict[str, str]:
        """The oracle's weights."""
        folder = oracle_folder(source.name, facts.label)
        return {} if folder is None else {"oracle_sha256": stored_digest(folder)}

    def edit(self, model: Model, split: TrainingSplit, where: Localization, place: Workplace) -> History:
        """Every tensor is replaced."""
        tensors = oracle_tensors(place.source.name, place.facts.label)
        with torch.no_grad():
            for name, parameter in model.parameters.items():
                parameter.copy_(tensors[name])
        return []
