"""What a file says: a localization that was made before, or by another tool."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from unlearnbench.editing.localization import Localization
from unlearnbench.editing.localization_file import read_localization
from unlearnbench.editing.localizer import Localizer, Share
from unlearnbench.editing.place import EditingPlace
from unlearnbench.facts import TrainingSplit
from unlearnbench.factset import FactsCard
from unlearnbench.model.model import Model
from unlearnbench.model.source import ModelSource
from unlearnbench.registry import register


@register("from_file")
@dataclass(frozen=True, kw_only=True)
class FromFile(Localizer):
    """What a JSON file names: `--localization FILE` says the same for every method."""

    file: Path = Path()
    """As `unlearnbench localize --output FOLDER` writes it; its contents are part of the run's identity."""
    budget: Share = 0.2
    """Share of the weights in the blocks that may be trained, for a file that has scores and names nothing."""

    def skip(self, facts: FactsCard, source: ModelSource) -> str | None:
        """Raises `UsageError` for a file that cannot be read."""
        if not self.file.name:
            return "it needs to be said which: from_file[file=FILE]"
        read_localization(self.file)
        return None

    def localize(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Localization:
        """Raises `UnknownName` for what this model has not."""
        return read_localization(self.file).localization(model, self.budget)
