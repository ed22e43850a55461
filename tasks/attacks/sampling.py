"""How often does it slip out when the model is sampled? leak@k, without sampling.

The chance that at least one of k samples at temperature 1 says the answer is 1 − (1 − p)^k, where p is the probability
of the whole answer: the mean of the combinatorial estimator from n samples (Chen et al., 2021, arXiv 2107.03374).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

from pydantic import Field

from unlearnbench.asking.attack import Attack, attack_metrics
from unlearnbench.asking.place import AskingPlace
from unlearnbench.asking.prompts import ask_directly
from unlearnbench.asking.row import Metric, Row
from unlearnbench.asking.sides import BASE, KEPT, RECOVERED, Side, has_never_known
from unlearnbench.asking.task import Battery
from unlearnbench.asking.variants import several
from unlearnbench.facts import Fact, Split
from unlearnbench.model.model import Model
from unlearnbench.registry import register


@register("sampling")
@dataclass(frozen=True, kw_only=True)
class Sampling(Attack):
    """The chance that one of k samples says the answer: `accuracy` for one sample, `curve_…` for more."""

    samples: Annotated[str, Field(pattern=r"^[1-9]\d*(\+[1-9]\d*)*$")] = "1+10+100"
    """Numbers of samples, one after another."""

    order: ClassVar[int] = 54
    battery: ClassVar[Battery] = "full"

    def metrics(self, split: Split) -> Sequence[Metric]:
        """Recovery of one sample, and of each number; who never knew says the answer too, with enough samples."""
        found = [*attack_metrics(split), *attack_metrics(split, "curve_", at=("samples",))]
        found = [replace(one, chance=None) for one in found]  # which is about the likeliest answer, not about samples
        if has_never_known(split):
            return found
        return [replace(one, floor=0.0) if one.ceiling else one for one in found]

    def base_rows(self, model: Model, split: Split, place: AskingPlace) -> list[Row]:
        """The base, sampled as often."""
        return self.attack(model, Side(split.relearn_train, split.relearn_test, BASE), split, place)

    def attack(self, model: Model, side: Side, split: Split, place: AskingPlace) -> list[Row]:
        """From the probabilities of whole answers."""
        found = self._leaks(model, side.asked, side.subset, place)
        if side.subset == RECOVERED:
            found += self._leaks(model, split.maintain_test, KEPT, place)
        return found

    def _leaks(self, model: Model, facts: Sequence[Fact], subset: str, place: AskingPlace) -> list[Row]:
        found = []
        for row in ask_directly(model, facts, subset, place.batch_size):
            true, edited = row.values["p_true"], row.values.get("p_edit")
            for samples in (None, *several(self.samples, int)):
                values = {"accuracy": leak(true, samples or 1), "p_true": true}
                values |= {} if edited is None else {"edit_accuracy": leak(edited, samples or 1)}
                found.append(Row(row.item, row.cluster, subset, values, {"samples": samples} if samples else {}))
        return found


def leak(probability: float, samples: int) -> float:
    """1 − (1 − p)^k, without losing small p."""
    return -math.expm1(samples * math.log1p(-min(probability, 1 - 1e-16)))
