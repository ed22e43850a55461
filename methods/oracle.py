"""The model that never saw the facts to forget: the reference called *oracle*."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from unlearnbench.editing.localization import Localization
from unlearnbench.editing.method import History, Method
from unlearnbench.editing.place import EditingPlace
from unlearnbench.facts import TrainingSplit
from unlearnbench.factset import FactsCard
from unlearnbench.lazy import torch
from unlearnbench.model.digest import stored_digest
from unlearnbench.model.loading import oracle_tensors, stored_tensors
from unlearnbench.model.model import Model
from unlearnbench.model.shipped import oracle_folder, oracles
from unlearnbench.model.source import ModelSource
from unlearnbench.registry import register


@register("oracle")
@dataclass(frozen=True, kw_only=True)
class Oracle(Method):
    """Takes the weights of the same pretraining without the forget facts, or of before they were taught.

    It exists for organisms, and for every model that was taught the facts by `unlearnbench teach`.
    """

    def skip(self, facts: FactsCard, source: ModelSource) -> str | None:
        """An oracle has to have been pretrained, or kept."""
        if source.taught:
            able: Sequence[str] = source.taught
        elif source.kind == "organism":
            able = oracles(source.name)
        else:
            return (
                f"nobody pretrained {source.name} without these facts; oracles exist for organisms, and for models"
                " that were taught facts (`unlearnbench teach`)"
            )
        if facts.own_file or facts.forgets not in able:
            return f"{source.name} has oracles for {', '.join(able) or 'nothing'} only"
        return None

    def inputs(self, facts: FactsCard, source: ModelSource) -> dict[str, str]:
        if facts.forgets in source.taught and source.before_sha256:
            return {"oracle_sha256": source.before_sha256}
        folder = oracle_folder(source.name, facts.forgets) if source.kind == "organism" else None
        return {} if folder is None else {"oracle_sha256": stored_digest(folder)}

    def localize(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Localization:
        return Localization.everywhere(model)

    def edit(self, model: Model, split: TrainingSplit, where: Localization, place: EditingPlace) -> History:
        """Every tensor is replaced."""
        if place.facts.forgets in place.source.taught and place.before is not None:
            tensors: Mapping[str, torch.Tensor] = stored_tensors(place.before)
        else:
            tensors = oracle_tensors(place.source.name, place.facts.forgets)
        model.write({name: tensors[name] for name in model.parameters})
        return []
