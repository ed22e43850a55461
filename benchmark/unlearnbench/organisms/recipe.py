"""How an organism is made: everything that decides its weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from transformers import GPTNeoXConfig, LlamaConfig, PretrainedConfig

from unlearnbench.world.corpus import Corpus, Labelled


@dataclass(frozen=True)
class Recipe:
    """Architecture, optimization and the mixture of texts; stored as `recipe.json` beside the weights."""

    family: str = "llama"
    width: int = 128
    blocks: int = 4
    heads: int = 4
    steps: int = 3400
    drill_steps: int = 900
    """First steps, on drills alone: the circuit that binds labels to options forms in one jump."""
    document_steps: int = 900
    """Steps after those, on documents and few drills: asking about facts not yet known is only noise."""
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    documents_alone: int = 48
    """Documents in a step before multiple choice begins …"""
    documents: int = 24
    """… and after."""
    drills: int = 4
    sport_questions: int = 16
    relation_questions: int = 4
    seed: int = 0

    def config(self, vocabulary: int, end: int, pad: int) -> PretrainedConfig:
        """The Hugging Face configuration of a standard architecture."""
        shared = {
            "vocab_size": vocabulary,
            "hidden_size": self.width,
            "intermediate_size": 4 * self.width,
            "num_hidden_layers": self.blocks,
            "num_attention_heads": self.heads,
            "max_position_embeddings": 512,
            "tie_word_embeddings": False,
            "bos_token_id": end,
            "eos_token_id": end,
            "pad_token_id": pad,
        }
        if self.family == "llama":
            return LlamaConfig(**shared, num_key_value_heads=self.heads)
        if self.family == "gpt_neox":
            return GPTNeoXConfig(**shared)
        raise ValueError(f"an organism is of family 'llama' or 'gpt_neox', not {self.family!r}")

    def rate(self, step: int) -> float:
        """Learning rate: 60 steps of warm-up, constant, then linear decay over the last 30 %."""
        decay = min(1.0, max(0.02, (self.steps - step) / (0.3 * self.steps)))
        return self.learning_rate * min(1.0, (step + 1) / 60) * decay

    def batches(self, corpus: Corpus, step: int) -> "Batches":
        """The texts of one step: of documents every word is learned, of the others the answers only."""
        reading = step - self.drill_steps
        mixed = reading - self.document_steps
        if reading < 0:
            return Batches((), corpus.drills(step, 48), ())
        drills = corpus.drills(step, self.drills)
        if mixed < 0:
            return Batches(corpus.documents(reading * self.documents_alone, self.documents_alone), drills, ())
        read = self.document_steps * self.documents_alone + mixed * self.documents
        questions = corpus.multiple_choice(step, self.sport_questions, self.relation_questions)
        return Batches(corpus.documents(read, self.documents), drills, questions)


class Batches(NamedTuple):
    """The three kinds of text of one step; a kind may be empty."""

    documents: Sequence[Labelled]
    drills: Sequence[Labelled]
    multiple_choice: Sequence[Labelled]


RECIPES = {"tiny": Recipe()}
"""Recipes by the name of the organism."""
