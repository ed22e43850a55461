"""Does setting the smallest weights to zero undo the edit? Wei et al. (2024, arXiv 2402.05162) broke refusals so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar

from pydantic import Field

from unlearnbench.asking.place import AskingPlace
from unlearnbench.asking.sides import Side
from unlearnbench.asking.task import Battery
from unlearnbench.asking.variants import Variant, VariantAttack, several
from unlearnbench.facts import Split
from unlearnbench.model.model import Model
from unlearnbench.registry import register


@register("pruning")
@dataclass(frozen=True, kw_only=True)
class Pruning(VariantAttack):
    """The smallest weights of every matrix in the blocks are set to zero."""

    shares: Annotated[str, Field(pattern=r"^0?\.\d+(\+0?\.\d+)*$")] = "0.1+0.2+0.3"
    """Which share of each matrix, one after another."""

    axes: ClassVar[tuple[str, ...]] = ("share",)
    order: ClassVar[int] = 73
    battery: ClassVar[Battery] = "full"

    def variants(self, model: Model, side: Side, split: Split, place: AskingPlace) -> Iterator[Variant]:
        """The model as it is, then with more and more zeros."""
        yield Variant({"share": 0.0})
        for share in several(self.shares, float):
            if share == 0:
                continue
            yield Variant({"share": share}, partial(pruned, model, share))


@contextmanager
def pruned(model: Model, share: float) -> Iterator[None]:
    """Within: in every matrix, this share of the weights, the smallest, is zero."""
    with model.restored(model.matrices) as exact:
        for name in model.matrices:
            weight = exact[name]
            gone = weight.abs().flatten().argsort(stable=True)[: int(share * weight.numel())]
            flat = weight.clone().flatten()
            flat[gone] = 0
            model.write({name: flat.reshape(weight.shape)})
        yield
