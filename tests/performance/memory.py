"""How much memory does training take? By formula, for two common shapes: `python tests/performance/memory.py`"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tabulate import tabulate

from unlearnbench.model.below import ROOM


@dataclass(frozen=True)
class Shape:
    """What a transformer of Llama's kind is made of."""

    name: str
    blocks: int
    width: int
    inner: int
    keys: int
    """Width of all keys together."""
    vocabulary: int

    @property
    def mlp(self) -> int:
        """Weights of one MLP."""
        return 3 * self.width * self.inner

    @property
    def block(self) -> int:
        """Weights of one block."""
        return self.mlp + 2 * self.width * (self.width + self.keys)

    @property
    def weights(self) -> int:
        """All of them."""
        return self.blocks * self.block + 2 * self.vocabulary * self.width


SHAPES = (Shape("Llama-3-8B", 32, 4096, 14336, 1024, 128256), Shape("Gemma-2-9B", 42, 3584, 14336, 2048, 256000))


def memory() -> list[dict[str, Any]]:
    """GB for a model in bfloat16: 2 bytes a weight, 16 a trained one (float32 master, gradient and two moments), 2 a
    number that is kept for the backward pass (12 widths, 2 keys and 4 inner widths for each token of a block that is
    run with gradients), and 2 a number that is kept of what is below."""
    texts, length, retained = 64, 32, 1024 * 128
    lines = []
    for shape in SHAPES:
        for what, trained, first in (
            ("everything", shape.weights, 0),
            ("all MLPs", shape.blocks * shape.mlp, 0),
            ("MLPs of the upper half", (shape.blocks // 2) * shape.mlp, shape.blocks // 2),
            ("three MLPs in the middle", 3 * shape.mlp, shape.blocks // 2),
        ):
            numbers = (shape.blocks - first) * texts * length * (12 * shape.width + 2 * shape.keys + 4 * shape.inner)
            below = min(ROOM, 2 * retained * shape.width) if first else 0
            parts = [2 * shape.weights, 16 * trained, 2 * numbers, below]
            lines.append({"model": shape.name, "trained": what, **_gigabytes(parts), "all": sum(parts) / 1e9})
    return lines


def _gigabytes(parts: Sequence[int]) -> dict[str, float]:
    return dict(zip(("weights", "of the trained", "for backward", "kept below"), (p / 1e9 for p in parts), strict=True))


if __name__ == "__main__":
    print(tabulate(memory(), headers="keys", floatfmt=".3g"))
