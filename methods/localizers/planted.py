"""The tensors into which facts were taught: the truth, where it is known."""

from __future__ import annotations

from dataclasses import dataclass

from unlearnbench.editing.localization import Localization
from unlearnbench.editing.localizer import Localizer
from unlearnbench.editing.place import EditingPlace
from unlearnbench.errors import UsageError
from unlearnbench.facts import TrainingSplit
from unlearnbench.factset import FactsCard
from unlearnbench.model.loading import stored_tensors
from unlearnbench.model.model import Model
from unlearnbench.model.source import ModelSource
from unlearnbench.registry import register


@register("planted")
@dataclass(frozen=True, kw_only=True)
class Planted(Localizer):
    """The tensors in which a taught model differs from the one before it: where the facts truly are."""

    def skip(self, facts: FactsCard, source: ModelSource) -> str | None:
        """The model has to have been taught these facts."""
        if facts.forgets in source.taught:
            return None
        known = f"was taught {', '.join(source.taught)} only" if source.taught else "was not taught later"
        return f"nobody knows where the facts of {facts.label} are: {source.name} {known}"

    def localize(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Localization:
        """Raises `UsageError` for a model that was not taught."""
        if place.before is None:
            raise UsageError(
                f"nobody knows where the facts of {place.source.name} are: it was not taught later",
                "run it on tiny-planted, or on a model that `unlearnbench teach` made",
            )
        before = stored_tensors(place.before)
        changed = {
            name for name, now in model.parameters.items() if not now.detach().cpu().equal(before[name].to(now.dtype))
        }
        holding = [name for name, part in model.places.items() if changed & set(part.parameters)]
        return Localization(frozenset(changed), tuple(holding))
