"""Closed-form editors: they change the projections with which MLPs write, and train nothing."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unlearnbench.editing.localization import Localization
from unlearnbench.editing.localizer import Localizer
from unlearnbench.editing.memory import projection_of
from unlearnbench.editing.method import Method
from unlearnbench.editing.place import EditingPlace
from unlearnbench.editing.values import ValueSettings
from unlearnbench.errors import UsageError
from unlearnbench.facts import TrainingSplit
from unlearnbench.factset import FactsCard
from unlearnbench.lazy import torch
from unlearnbench.model.check import try_out
from unlearnbench.model.hooks import intervened, recorded
from unlearnbench.model.source import ModelSource
from unlearnbench.settings import preset

if TYPE_CHECKING:
    from unlearnbench.model.model import Model


@dataclass(frozen=True, kw_only=True)
class Associative(ValueSettings, Method):
    """Where, a localizer says, so that the claim that facts are where they are traced is tested like any other."""

    localizer: Localizer = preset(Localizer, "causal_tracing")
    """Which MLPs."""

    def skip(self, facts: FactsCard, source: ModelSource) -> str | None:
        """Facts must have an edit target, and the localizer must be able to work on the model."""
        if "edit_target" not in facts.forms:
            return f"{self.name} writes edit targets, and {facts.label} has none"
        return self.localizer.skip(facts, source)

    @abstractmethod
    def components(self, found: Localization) -> list[str]:
        """Those of the localizer's components that are changed."""

    def localize(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Localization:
        """The projections of the MLPs. Raises `UsageError` where none was chosen, or one has no such projection."""
        self.refuse(model)
        found = self.localizer.localize(model, split, place)
        chosen = self.components(found)
        return Localization(
            frozenset(f"{projection_of(model, one)}.weight" for one in chosen), tuple(chosen), found.scores
        )

    def refuse(self, model: Model) -> None:
        """Raise `UsageError` for a model that it cannot edit."""

    def mlps(self, found: Localization) -> list[str]:
        """The MLPs among the components that a localizer chose, best first; raises `UsageError` where there is none."""
        mlps = [name for name in found.components if name.startswith("mlp.")]
        if not mlps:
            raise UsageError(
                f"{self.name} changes MLPs, and localizer {self.localizer.name} chose"
                f" {', '.join(found.components) or 'single tensors'}",
                "choose MLPs: localizer=causal_tracing, fact_lookup, named[components=mlp.2] …",
            )
        return mlps


def refuse_norm_behind(model: Model) -> None:
    """Raise `UsageError` where a block does not add to the stream what its MLP says, but a function of it."""
    path, block = model.components["mlp.0"].path, f"{model.family.blocks}.0"
    more = torch.linspace(-1, 1, model.width, device=model.device)
    seen = list[torch.Tensor]()

    def adding(by: float) -> Callable[[torch.Tensor], torch.Tensor]:
        return lambda said: said + by * more.to(said)

    by = 0.0
    for _ in range(2):
        with intervened(model, {path: adding(by)}), recorded(model, {block: block}) as outputs:
            try_out(model.network, model.device)
        seen.append(outputs[block].float())
        by = 10 * seen[0].abs().max().item()  # so much that rounding in half precision is nothing beside it
    gap = (seen[1] - seen[0] - by * more).norm() / (by * more.expand_as(seen[0])).norm()
    if not gap < 0.05:
        raise UsageError(
            f"{type(model.network).__name__} normalizes what an MLP says before it is added to the stream, and MEMIT"
            " spreads over several MLPs what it wants to add",
            "use rome, which changes one of them and looks for its value there",
        )
