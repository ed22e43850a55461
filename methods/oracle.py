"""The model that never saw the facts to forget: the reference called *oracle*."""

from __future__ import annotations

from dataclasses import dataclass

from unlearnbench.editing.localization import Localization
from unlearnbench.editing.method import History, Method
from unlearnbench.editing.place import EditingPlace
from unlearnbench.facts import FactsCard, TrainingSplit
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

    def skip(self, facts: FactsCard, source: ModelSource) -> str | None:
        """An oracle has to have been pretrained."""
        if source.kind != "organism":
            return f"nobody pretrained {source.name} without these facts; oracles exist for organisms"
        if facts.own_file or oracle_folder(source.name, facts.label) is None:
            return f"{source.name} ships with oracles for {', '.join(oracles(source.name)) or 'nothing'} only"
        return None

    def inputs(self, facts: FactsCard, source: ModelSource) -> dict[str, str]:
        folder = oracle_folder(source.name, facts.label)
        return {} if folder is None else {"oracle_sha256": stored_digest(folder)}

    def localize(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Localization:
        return Localization.everywhere(model)

    def edit(self, model: Model, split: TrainingSplit, where: Localization, place: EditingPlace) -> History:
        """Every tensor is replaced."""
        tensors = oracle_tensors(place.source.name, place.facts.label)
        model.write({name: tensors[name] for name in model.parameters})
        return []
