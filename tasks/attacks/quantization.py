"""Does rounding the weights undo the edit? Zhang et al. (2024, arXiv 2410.16454).

An update that is smaller than half a bin is rounded away. Rounded to nearest, in groups that share a scale; the same
on every machine, and no library is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar

from pydantic import Field

from unlearnbench.asking.place import AskingPlace
from unlearnbench.asking.row import Metric, Row
from unlearnbench.asking.sides import Side
from unlearnbench.asking.task import Battery
from unlearnbench.asking.variants import Variant, VariantAttack, several
from unlearnbench.facts import Split
from unlearnbench.model.model import Model
from unlearnbench.model.rounding import GROUP, codes, round_matrices
from unlearnbench.registry import register

WEIGHTS = "weights"
"""The subset of the rows that are about weights and not about facts."""


@register("quantization")
@dataclass(frozen=True, kw_only=True)
class Quantization(VariantAttack):
    """All matrices in the blocks are rounded to 8, 4 and 3 bits (simulated)."""

    bits: Annotated[str, Field(pattern=r"^([2-9]|1[0-6])(\+([2-9]|1[0-6]))*$")] = "8+4+3"
    """To how many bits, one after another."""
    group: Annotated[int, Field(ge=1)] = GROUP
    """Weights that share a scale."""

    axes: ClassVar[tuple[str, ...]] = ("bits",)
    order: ClassVar[int] = 70
    battery: ClassVar[Battery] = "full"

    def metrics(self, split: Split) -> Sequence[Metric]:
        """Also: which share of the edited weights has another code than the base's, and the mean margin to the next."""
        moved = [Metric(name, name, WEIGHTS, "general", "max", at=("bits",)) for name in ("code_changed", "margin")]
        return [*super().metrics(split), *moved]

    def rows(self, model: Model, split: Split, place: AskingPlace) -> list[Row]:
        """What is asked, and what is seen of the weights."""
        return super().rows(model, split, place) + self._moved(model, place)

    def _moved(self, model: Model, place: AskingPlace) -> list[Row]:
        """One row for each number of bits, about all edited matrices in the blocks."""
        found, edited = [], set(place.edited(model)) & set(model.matrices)
        for bits in several(self.bits, int):
            changed, margins, count = 0.0, 0.0, 0
            for name in sorted(edited):
                _, old, _ = codes(place.base[name], bits, self.group)
                _, new, margin = codes(model.parameters[name], bits, self.group)
                changed += float((old != new).sum())
                margins += float(margin.double().sum())
                count += new.numel()
            values = {"code_changed": changed / max(1, count), "margin": margins / max(1, count)}
            found.append(Row("weights", "weights", WEIGHTS, values, {"bits": bits}))
        return found

    def variants(self, model: Model, side: Side, split: Split, place: AskingPlace) -> Iterator[Variant]:
        """The model as it is, then in fewer and fewer bits."""
        yield Variant({"bits": 32})
        for bits in several(self.bits, int):
            yield Variant({"bits": bits}, partial(in_bits, model, bits, self.group))


@contextmanager
def in_bits(model: Model, bits: int, group: int) -> Iterator[None]:
    """Within: the matrices of all components are rounded."""
    with model.restored(model.matrices):
        round_matrices(model, bits, group)
        yield
