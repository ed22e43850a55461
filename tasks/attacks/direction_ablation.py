"""Did the edit only add a direction? It is taken out of the stream again.

Arditi et al. (2024, arXiv 2406.11717) for refusals, Łucki et al. (2024, arXiv 2409.18025) for unlearning: r is the mean
difference of the activations of the edited model and the base on T; at inference h ← h − (h·r̂) r̂. Nothing is trained.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from unlearnbench.asking.attack import as_base
from unlearnbench.asking.place import AskingPlace
from unlearnbench.asking.sides import Side
from unlearnbench.asking.variants import Variant, VariantAttack
from unlearnbench.editing.objective import truths
from unlearnbench.facts import Split
from unlearnbench.lazy import torch
from unlearnbench.model.hooks import intervened
from unlearnbench.model.model import Model
from unlearnbench.model.reading import encode
from unlearnbench.model.residuals import residuals
from unlearnbench.registry import register


@register("direction_ablation")
@dataclass(frozen=True, kw_only=True)
class DirectionAblation(VariantAttack):
    """The mean difference from the base on T is taken out of the stream, after each block in turn and after all."""

    axes: ClassVar[tuple[str, ...]] = ("after",)
    order: ClassVar[int] = 71

    def variants(self, model: Model, side: Side, split: Split, place: AskingPlace) -> Iterator[Variant]:
        """The model as it is, then without its direction after each block, then after all of them."""
        yield Variant({"after": "none"})
        blocks = list(range(model.blocks))
        prompts = [encode(model, *pair)[0] for pair in truths(side.taught)]
        with torch.no_grad():
            edited = {block: stream.mean(0) for block, stream in residuals(model, prompts, blocks).items()}
            with as_base(model, place):
                base = {block: stream.mean(0) for block, stream in residuals(model, prompts, blocks).items()}
        away = {block: edited[block] - base[block] for block in blocks}
        for block in blocks:
            yield Variant({"after": str(block)}, partial(_without, model, {block: away[block]}))
        yield Variant({"after": "all"}, partial(_without, model, away))


@contextmanager
def _without(model: Model, directions: dict[int, torch.Tensor]) -> Iterator[None]:
    """Within: no block puts anything out along its direction."""
    changes = {f"{model.family.blocks}.{block}": partial(_ablated, away) for block, away in directions.items()}
    with intervened(model, changes):
        yield


def _ablated(away: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
    unit = (away / away.norm().clamp_min(1e-30)).to(output.dtype)
    along: torch.Tensor = (output @ unit)[..., None] * unit
    return output - along
