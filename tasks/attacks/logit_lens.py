"""Is the answer there on the way, and only hidden at the end? The output layer reads every block.

nostalgebraist (2020); for unlearning: Łucki et al. (2024, arXiv 2409.18025).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar

from pydantic import Field

from unlearnbench.asking.place import AskingPlace
from unlearnbench.asking.sides import Side
from unlearnbench.asking.task import Battery
from unlearnbench.asking.variants import Variant, VariantAttack, several
from unlearnbench.facts import Split
from unlearnbench.model.early import ending_at
from unlearnbench.model.model import Model
from unlearnbench.model.readers import stream_of
from unlearnbench.registry import register


@register("logit_lens")
@dataclass(frozen=True, kw_only=True)
class LogitLens(VariantAttack):
    """The model ends at every block in turn, and reads the block's output or what its attention or MLP writes."""

    streams: Annotated[str, Field(pattern=r"^(block|attention|mlp)(\+(block|attention|mlp))*$")] = "block+attention+mlp"
    """What is read."""

    axes: ClassVar[tuple[str, ...]] = ("stream", "layer")
    capped: ClassVar[bool] = False
    order: ClassVar[int] = 60
    battery: ClassVar[Battery] = "quick"

    def variants(self, model: Model, side: Side, split: Split, place: AskingPlace) -> Iterator[Variant]:
        """From the last block down, beginning with the model as it is."""
        writers = stream_of(model).writers
        for stream in several(self.streams, str):
            for block in reversed(range(model.blocks)):
                writer = None if stream == "block" else writers[f"{stream}.{block}"]
                yield Variant({"stream": stream, "layer": block}, partial(ending_at, model, block, writer))
