"""The retain stream: plain text on which an edited model must go on predicting as before."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from unlearnbench.errors import MissingPrerequisite, UsageError
from unlearnbench.facts import Fact, Split
from unlearnbench.model.reading import refuse_unknown_tokens, tokens_of
from unlearnbench.seeds import derive_seed
from unlearnbench.world.corpus import Corpus
from unlearnbench.world.world import Known, World, world

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
TRAIN_TEXTS = 1024
TRAIN_SEED, TEST_SEED = 1, 2
"""Of the world's documents; organisms are pretrained on those of seed 0."""


@dataclass(frozen=True)
class RetainText:
    """Token ids of many short texts: some to train on, some to measure on."""

    train: Sequence[list[int]]
    test: Sequence[list[int]]

    def batch(self, seed: int, step: int, count: int) -> list[list[int]]:
        """The texts of one training step; a function of seed and step."""
        drawn = random.Random(derive_seed(seed, "retain", str(step))).choices(self.train, k=count)
        return [list(text) for text in drawn]


def load_retain(model: Model, source: str, split: Split) -> RetainText:
    """Read the retain stream: `world`, `pile`, or the path of a text file with one text per line.

    `world` is more of the organisms' pretraining text, which says nothing of the facts to forget, nor, where it is
    trained on, of the facts that are kept to be asked. From other sources, texts are dropped that mention a subject of
    the facts to forget. Raises `UsageError` where too few texts are left, and `MissingPrerequisite` where the hub
    cannot be reached.
    """
    if source == "world":
        train, test = _world_texts(split)
        return RetainText(_encoded(model, train), _encoded(model, test))
    texts = plain_texts(source)
    subjects = {fact.subject for fact in split.forget}
    ids = _encoded(model, [text for text in texts if not any(subject in text for subject in subjects)])
    if len(ids) < 2 * TEST_TEXTS:
        raise UsageError(
            f"retain text {source!r} has {len(ids)} texts about other subjects than those to forget;"
            f" {2 * TEST_TEXTS} or more are needed"
        )
    return RetainText(ids[TEST_TEXTS:], ids[:TEST_TEXTS])


def _encoded(model: Model, texts: Sequence[str]) -> list[list[int]]:
    most = min(CONTEXT, model.context)
    # Cut before the tokenizer sees it, too: a line may be a book, and tokenizers slow down on long texts.
    ids = [tokens_of(model, text[: CHARACTERS * CONTEXT])[:most] for text in texts]
    for row, text in zip(ids, texts, strict=True):
        refuse_unknown_tokens(model, row, text)
    return [row for row in ids if len(row) > 1]


def plain_texts(source: str) -> list[str]:
    """The texts of `pile` or of a file; not `world`, which depends on what is forgotten."""
    if source == "pile":
        return _pile_texts()
    return [line for line in Path(source).read_text(encoding="utf-8").splitlines() if line.strip()]


def _world_texts(split: Split) -> tuple[list[str], list[str]]:
    """Documents to train on and others to measure on; both about the facts that an oracle was told."""
    complete = world()
    forgotten = _known(complete, split.forget)
    asked = _known(complete, split.maintain_test)
    train = Corpus(complete.without(forgotten | asked), TRAIN_SEED).documents(0, TRAIN_TEXTS)
    test = Corpus(complete.without(forgotten), TEST_SEED).documents(0, TEST_TEXTS)
    return [document.text for document in train], [document.text for document in test]


def _known(complete: World, facts: Sequence[Fact]) -> frozenset[Known]:
    """Those of the facts that the world tells; it tells nothing of other people."""
    return complete.facts & {fact.key for fact in facts}


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
