"""Does noise on the weights undo the edit? What only a fine balance hides comes back."""

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
from unlearnbench.lazy import torch
from unlearnbench.model.model import Model
from unlearnbench.registry import register
from unlearnbench.seeds import derive_seed


@register("noise")
@dataclass(frozen=True, kw_only=True)
class Noise(VariantAttack):
    """Gaussian noise is added to all matrices in the blocks, in units of each one's root mean square."""

    scales: Annotated[str, Field(pattern=r"^\d*\.?\d+(\+\d*\.?\d+)*$")] = "0.05+0.1+0.2"
    """Standard deviations, one after another."""

    axes: ClassVar[tuple[str, ...]] = ("scale",)
    order: ClassVar[int] = 72
    battery: ClassVar[Battery] = "full"

    def variants(self, model: Model, side: Side, split: Split, place: AskingPlace) -> Iterator[Variant]:
        """The model as it is, then with more and more noise."""
        yield Variant({"scale": 0.0})
        for scale in several(self.scales, float):
            if scale == 0:
                continue
            yield Variant({"scale": scale}, partial(noisy, model, scale, derive_seed(place.seed, "noise", str(scale))))


@contextmanager
def noisy(model: Model, scale: float, seed: int) -> Iterator[None]:
    """Within: w + scale · rms(w) · z; the same z on every device."""
    generator = torch.Generator().manual_seed(seed % 2**63)
    with model.restored(model.matrices) as exact:
        for name in model.matrices:
            weight = exact[name].float()
            noise = torch.randn(weight.shape, generator=generator).to(weight.device)
            model.write({name: weight + scale * weight.square().mean().sqrt() * noise})
        yield
