"""Measured numbers, and what is asked of them."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One measured number and what is asked of it."""

    name: str
    value: float
    least: float | None = None
    most: float | None = None

    @property
    def met(self) -> bool:
        """Whether it is what is asked."""
        return (self.least is None or self.value >= self.least) and (self.most is None or self.value <= self.most)

    @property
    def asked(self) -> str:
        """The bound, in words."""
        if self.least is not None:
            return f"≥ {self.least:g}"
        return f"≤ {self.most:g}" if self.most is not None else "–"


def noise(chance: float, asked: int) -> float:
    """The highest share of right answers that two standard errors above a guess explain."""
    return round(chance + 2 * math.sqrt(chance * (1 - chance) / asked), 3)
