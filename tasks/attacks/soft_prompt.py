"""Is there anything that can be put before a prompt to make the model say it? Vectors instead of words.

Lester et al. (2021, arXiv 2104.08691); as an attack: Schwinn et al. (2024, arXiv 2402.09063). One prompt for all facts,
trained on T: one for each fact could elicit anything (arXiv 2502.15836).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar

from pydantic import Field

from unlearnbench.asking.descent import descend
from unlearnbench.asking.place import AskingPlace
from unlearnbench.asking.sides import Side
from unlearnbench.asking.task import Battery
from unlearnbench.asking.variants import Variant, VariantAttack, several
from unlearnbench.editing.objective import truths
from unlearnbench.facts import Split
from unlearnbench.lazy import torch
from unlearnbench.model.model import Model
from unlearnbench.model.prepended import prepended
from unlearnbench.registry import register
from unlearnbench.seeds import derive_seed


@register("soft_prompt")
@dataclass(frozen=True, kw_only=True)
class SoftPrompt(VariantAttack):
    """Vectors before every prompt, trained on half of T with the true answers; the other half chooses, V is scored."""

    lengths: Annotated[str, Field(pattern=r"^[1-9]\d*(\+[1-9]\d*)*$")] = "1+5+20"
    """Numbers of vectors, one after another."""
    steps: Annotated[int, Field(ge=1)] = 50
    """Of Adam, for each."""
    rate: Annotated[float, Field(gt=0)] = 0.1
    """Length of a step in every coordinate, in units of the embeddings' root mean square."""
    restarts: Annotated[int, Field(ge=1)] = 1
    """How often each is trained anew, from the embeddings of other random tokens."""

    axes: ClassVar[tuple[str, ...]] = ("length", "start")
    holds_out: ClassVar[bool] = True
    capped: ClassVar[bool] = False
    order: ClassVar[int] = 56
    battery: ClassVar[Battery] = "full"

    def variants(self, model: Model, side: Side, split: Split, place: AskingPlace) -> Iterator[Variant]:
        """The model as it is, then shorter ones first."""
        yield Variant({"length": 0, "start": 0})
        embeddings = model.network.get_input_embeddings()
        for length in several(self.lengths, int):
            for start in range(self.restarts):
                rng = random.Random(derive_seed(place.seed, "soft prompt", str(length), str(start)))
                tokens = torch.tensor([rng.randrange(model.vocabulary) for _ in range(length)], device=model.device)
                with torch.no_grad():
                    words = embeddings(tokens).float()
                size = float(words.square().mean().sqrt())
                found = descend(
                    model,
                    truths(side.taught),
                    words,
                    partial(prepended, model),
                    steps=self.steps,
                    rate=self.rate * size,
                )
                yield Variant({"length": length, "start": start}, partial(prepended, model, found))
