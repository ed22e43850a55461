"""The residual stream at some depths, with gradients; what is above the deepest of them is not run."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from unlearnbench.errors import UnknownName, UsageError
from unlearnbench.lazy import torch
from unlearnbench.model.hooks import intervened, noting
from unlearnbench.model.reading import run_through

if TYPE_CHECKING:
    from unlearnbench.model.model import Model


def residuals(model: Model, sequences: Sequence[list[int]], blocks: Sequence[int]) -> dict[int, torch.Tensor]:
    """What each of these blocks leaves in the stream, [tokens, width] in float32: of all tokens in order but the first.

    The first is left out, BOS or not, because its norm may be a hundred times that of others: it would be all that a
    mean sees. Of a text of one token, that one is taken.
    """
    seen: dict[int, torch.Tensor] = {}
    paths = {block: f"{model.family.blocks}.{block}" for block in blocks}
    with intervened(model, {path: noting(seen, block) for block, path in paths.items()}):
        run_through(model, sequences, max(blocks))
    at = [(row, c) for row, one in enumerate(sequences) for c in range(min(1, len(one) - 1), len(one))]
    rows, columns = [row for row, _ in at], [column for _, column in at]
    return {block: stream[rows, columns].float() for block, stream in seen.items()}


def depths(model: Model, words: str | None, usual: str, trained: Collection[str] | None) -> list[int]:
    """The blocks that an objective looks at: those of the `words` (`3`, `25%`, several with +), each once.

    Without words, the deepest block that is trained, and the usual ones where nothing less than all blocks is: what
    is trained behind what is looked at would learn nothing. Raises as `block_at`.
    """
    mine = {block for name in trained or () if (block := model.block_of(name)) is not None}
    if words is None and 0 < len(mine) < model.blocks:
        return [max(mine)]
    return [*dict.fromkeys(block_at(model, word) for word in (words or usual).split("+"))]


def block_at(model: Model, word: str) -> int:
    """The block that a word such as `3` or `25%` means: of n blocks, a percentage is number ⌊share · n⌋.

    Raises `UnknownName` for another word, `UsageError` for a block that the model lacks.
    """
    number = re.fullmatch(r"(\d+)(%?)", word)
    if number is None:
        raise UnknownName("block", word, ["25%", *map(str, range(model.blocks))])
    block = int(number[1]) * model.blocks // 100 if number[2] else int(number[1])
    if block >= model.blocks:
        raise UsageError(
            f"block {word} of a model that has {model.blocks}",
            f"blocks count from 0 to {model.blocks - 1}, percentages end below 100",
        )
    return block
