"""A range of blocks set by hand, as in the paper that this grew out of."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from unlearnbench.editing.localization import Localization
from unlearnbench.editing.localizer import Localizer
from unlearnbench.editing.place import EditingPlace
from unlearnbench.errors import UnknownName, UsageError
from unlearnbench.facts import TrainingSplit
from unlearnbench.model.model import Model
from unlearnbench.model.residuals import block_at
from unlearnbench.registry import register

PAPER = {"gemma-7b-sports": "2-7", "gemma-2-9b-sports": "2-6", "llama-3-8b-sports": "1-4"}
"""The MLPs that Guo et al. (2024) found for sports, by hand from the curves of linear probes."""


@register("layers")
@dataclass(frozen=True, kw_only=True)
class Layers(Localizer):
    """MLPs, attentions or both of the blocks that are named: `layers[range=2-7]`."""

    range: str = "0"
    """Blocks, from 0: `2-7`, `3`, `1-4+9`; by depth, `16%-22%`; or the paper's own choice: `gemma-7b-sports`,
    `gemma-2-9b-sports`, `llama-3-8b-sports`."""
    kind: Literal["mlp", "attention", "all"] = "mlp"
    """What of these blocks."""

    def localize(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Localization:
        """Raises `UsageError` for a block that the model has not."""
        blocks = blocks_of(model, self.range)
        kinds = ("attention", "mlp") if self.kind == "all" else (self.kind,)
        return Localization.of(model, [f"{kind}.{block}" for block in blocks for kind in kinds])


def blocks_of(model: Model, text: str) -> list[int]:
    """The blocks of `2-4+9` or `16%-22%`, in order; raises `UsageError` for another form, and as `block_at`."""
    found = set[int]()
    for part in PAPER.get(text, text).split("+"):
        match = re.fullmatch(r"(\d+%?)(?:-(\d+%?))?", part)
        if not match and not any(c.isdigit() for c in part[:1]):
            raise UnknownName("range of blocks", text, [*PAPER, "2-7"])
        if not match:
            raise UsageError(f"{text!r} is no range of blocks", "write 2-7, 1-4+9 or 16%-22%")
        first, last = (block_at(model, word) for word in (match[1], match[2] or match[1]))
        if last < first:
            raise UsageError(f"{text!r} is no range of blocks: it runs backwards", "write 2-7, 1-4+9 or 16%-22%")
        found |= set(range(first, last + 1))
    return sorted(found)
