"""The retain stream: plain text on which an edited model must go on predicting as before."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from unlearnbench.errors import MissingPrerequisite, UsageError
from unlearnbench.model.reading import refuse_unknown_tokens
from unlearnbench.seeds import derive_seed
from unlearnbench.world.corpus import Corpus
from unlearnbench.world.world import world

if TYPE_CHECKING:
    from unlearnbench.model.model import Model

CONTEXT = 128
"""Tokens of each text that are used."""
CHARACTERS = 16
"""Of a text for each token that is used: no tokenizer makes fewer tokens of running text."""
PILE = "NeelNanda/pile-10k"
PILE_REVISION = "127bfedcd5047750df5ccf3a12979a47bfa0bafa"
TEST_TEXTS = 64
"""Texts that are never trained on, and on which the retain loss is measured."""


@dataclass(frozen=True)
class RetainText:
    """Token ids of many short texts: some to train on, some to measure on."""

    train: Sequence[list[int]]
    test: Sequence[list[int]]

    def batch(self, seed: int, step: int, count: int) -> list[list[int]]:
        """The texts of one training step; a function of seed and step."""
        drawn = random.Random(derive_seed(seed, "retain", str(step))).choices(self.train, k=count)
        return [list(text) for text in drawn]


def load_retain(model: Model, source: str) -> RetainText:
    """Read the retain stream: `world`, `pile`, or the path of a text file with one text per line.

    `world` is the organisms' text about people who are no athletes. Raises `UsageError` where a file
    is too short, and `MissingPrerequisite` where the hub cannot be reached.
    """
    if source == "world":
        texts = _world_texts()
    elif source == "pile":
        texts = _pile_texts()
    else:
        texts = [line for line in Path(source).read_text(encoding="utf-8").splitlines() if line.strip()]
    most = min(CONTEXT, model.context)
    # Cut before the tokenizer sees it, too: a line may be a book, and tokenizers slow down on long texts.
    ids = [list(model.tokenizer(text[: CHARACTERS * CONTEXT]).input_ids)[:most] for text in texts]
    ids = [row for row in ids if len(row) > 1]
    for row, text in zip(ids, texts, strict=False):
        refuse_unknown_tokens(model, row, text)
    if len(ids) < 2 * TEST_TEXTS:
        raise UsageError(f"retain text {source!r} has {len(ids)} texts; {2 * TEST_TEXTS} or more are needed")
    return RetainText(ids[TEST_TEXTS:], ids[:TEST_TEXTS])


def _world_texts() -> list[str]:
    villagers_only = Corpus(world().without(p.name for p in world().athletes).without_decoys(), seed=1)
    return [document.text for document in villagers_only.documents(0, 1024)]


def _pile_texts() -> list[str]:
    from datasets import load_dataset

    try:
        rows = load_dataset(PILE, split="train", revision=PILE_REVISION)
    except Exception as error:  # datasets raises a dozen kinds for "not reachable"
        raise MissingPrerequisite(
            f"the retain text {PILE} is neither cached nor reachable ({type(error).__name__})",
            "go online once, or give --retain_text world or a text file with one text per line",
        ) from error
    return list(rows["text"])
