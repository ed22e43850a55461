"""Is there a push in activation space that makes the model say it? One vector for all facts.

The attack that latent adversarial training defends against (Sheshadri et al., 2024, arXiv 2407.15549), made universal:
a perturbation of its own for each fact would always succeed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar

from pydantic import Field

from unlearnbench.asking.descent import descend
from unlearnbench.asking.place import AskingPlace
from unlearnbench.asking.sides import Side
from unlearnbench.asking.variants import Variant, VariantAttack, several
from unlearnbench.editing.objective import truths
from unlearnbench.editing.perturbation import sites_of
from unlearnbench.facts import Split
from unlearnbench.lazy import torch
from unlearnbench.model.hooks import intervened, recorded
from unlearnbench.model.model import Model
from unlearnbench.model.reading import encode, last_logits
from unlearnbench.registry import register


@register("latent_attack")
@dataclass(frozen=True, kw_only=True)
class LatentAttack(VariantAttack):
    """One vector is added to the stream at every token, trained on half of T; the other half chooses, V is scored."""

    sites: Annotated[str, Field(pattern=r"^(embeddings|\d+%?)(\+(embeddings|\d+%?))*$")] = "embeddings+25%+50%"
    """Where, one after another: outputs of blocks, by number (from 0) or by depth, or `embeddings`."""
    epsilons: Annotated[str, Field(pattern=r"^\d*\.?\d+(\+\d*\.?\d+)*$")] = "0.3+1"
    """Its length, one after another, in units of the median norm of what it is added to."""
    steps: Annotated[int, Field(ge=1)] = 20
    """Of Adam, for each."""

    axes: ClassVar[tuple[str, ...]] = ("site", "epsilon")
    holds_out: ClassVar[bool] = True
    capped: ClassVar[bool] = False
    order: ClassVar[int] = 57

    def variants(self, model: Model, side: Side, split: Split, place: AskingPlace) -> Iterator[Variant]:
        """The model as it is; then site by site, shorter vectors first."""
        yield Variant({"site": "none", "epsilon": 0.0})
        for word in several(self.sites, str):
            (path,) = sites_of(model, word)
            size = _median_norm(model, side, path)
            for epsilon in several(self.epsilons, float):
                radius = epsilon * size
                found = descend(
                    model,
                    truths(side.taught),
                    torch.zeros(model.width, device=model.device),
                    partial(_added, model, path),
                    steps=self.steps,
                    rate=0.25 * radius / model.width**0.5,
                    project=partial(_project, radius),
                )
                yield Variant({"site": word, "epsilon": epsilon}, partial(_added, model, path, found))


def _median_norm(model: Model, side: Side, path: str) -> float:
    """Of what the module at this path puts out for the attacker's prompts."""
    prompts = [encode(model, *pair)[0] for pair in truths(side.taught)]
    with torch.no_grad(), recorded(model, {path: path}) as seen:
        last_logits(model, prompts)
    rows = [seen[path][row, 1 : len(ids)] for row, ids in enumerate(prompts)]
    return float(torch.cat(rows).float().norm(dim=-1).median())


@contextmanager
def _added(model: Model, path: str, vector: torch.Tensor) -> Iterator[None]:
    with intervened(model, {path: lambda output: output + vector.to(output)}):
        yield


def _project(radius: float, vector: torch.Tensor) -> None:
    vector.mul_((radius / vector.norm().clamp_min(1e-30)).clamp_max(1.0))
