"""How an organism is made: everything that decides its weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from transformers import GPTNeoXConfig, LlamaConfig, PretrainedConfig

from unlearnbench.organisms.corpus import Corpus, Labelled


@dataclass(frozen=True)
class Recipe:
    """Architecture, optimization and the mixture of texts; hashed into the model card."""

    family: str = "llama"
    width: int = 128
    blocks: int = 4
    heads: int = 4
    mlp_width: int = 512
    spread: float = 0.02
    """Standard deviation of the first weights."""
    steps: int = 9700
    drill_steps: int = 700
    """First steps, on drills alone: the circuit that binds labels to options forms in one jump."""
    document_steps: int = 1900
    """Steps after those, on documents and few drills: asking about facts not yet known is only noise."""
    exam_steps: int = 1500
    """Last steps, with MMLU's layout too: before one layout is bound, drills in two kept both from forming."""
    review_steps: int = 500
    """Steps after those, once the rate has decayed: everything again, and villagers beside it."""
    exam_again_steps: int = 3100
    """Steps after those, of fewer documents, at the review's rate: it had decayed before exams were learned."""
    learning_rate: float = 2e-3
    review_rate: float = 1e-3
    """Learning rate at which the review begins; it ends at none."""
    weight_decay: float = 0.02
    more_decoys: int = 60
    """Decoy things of every relation beside the world's 40: with those alone, their letters were learned by heart."""
    documents_alone: int = 48
    """Documents in a step before multiple choice begins …"""
    documents: int = 24
    """… with it …"""
    documents_last: int = 14
    """… and with exams."""
    villager_documents: int = 16
    """Documents about villagers alone in a step of the review."""
    drills: int = 4
    sport_steps: int = 1100
    """Steps with multiple choice in which most of it is about sports; after those, most is about things."""
    sport_questions: int = 12
    """Multiple-choice texts about decoys' sports in a step (half as many with exams) …"""
    thing_questions: int = 5
    """… and about decoy things; later the two numbers change places …"""
    relation_questions: int = 3
    """… and about villagers."""
    exam_drills: int = 8
    """Look-ups in MMLU's layout in a step with exams …"""
    exam_drills_again: int = 24
    """… and where exams are asked again."""
    exam_questions: int = 42
    """Questions in MMLU's layout in such a step, half of them about school."""
    seed: int = 0

    def config(self, vocabulary: int, end: int, pad: int) -> PretrainedConfig:
        """The Hugging Face configuration of a standard architecture."""
        shared = {
            "vocab_size": vocabulary,
            "hidden_size": self.width,
            "intermediate_size": self.mlp_width,
            "num_hidden_layers": self.blocks,
            "num_attention_heads": self.heads,
            "max_position_embeddings": 512,
            "initializer_range": self.spread,
            "tie_word_embeddings": False,
            "bos_token_id": end,
            "eos_token_id": end,
            "pad_token_id": pad,
        }
        if self.family == "llama":
            # With biases, as in Qwen2: without them facts are learned more slowly.
            return LlamaConfig(**shared, num_key_value_heads=self.heads, attention_bias=True, mlp_bias=True)
        if self.family == "gpt_neox":
            return GPTNeoXConfig(**shared)
        raise ValueError(f"an organism is of family 'llama' or 'gpt_neox', not {self.family!r}")

    @property
    def taught(self) -> int:
        """The step at which the review begins."""
        return self.reviewed - self.review_steps

    @property
    def reviewed(self) -> int:
        """The step at which the review ends."""
        return self.steps - self.exam_again_steps

    def rate(self, step: int) -> float:
        """Learning rate: 60 steps of warm-up, constant, linear decay over the last 15 %; then that of the review.

        Where exams are asked again, it is constant once more, with linear decay over the last 400 steps.
        """
        if step >= self.reviewed:
            return self.review_rate * min(1.0, (self.steps - step) / 400)
        if step >= self.taught:
            return self.review_rate * (self.reviewed - step) / self.review_steps
        decay = min(1.0, max(0.02, (self.taught - step) / (0.15 * self.taught)))
        return self.learning_rate * min(1.0, (step + 1) / 60) * decay

    def batches(self, corpus: Corpus, step: int) -> "Batches":
        """The texts of one step: of documents every word is learned, of the others the answers only."""
        reading = step - self.drill_steps
        mixed = reading - self.document_steps
        last = step - (self.taught - self.exam_steps)
        if reading < 0:
            return Batches((), corpus.drills(step, 48), (), ())
        drills = corpus.drills(step, self.drills)
        if mixed < 0:
            return Batches(corpus.documents(reading * self.documents_alone, self.documents_alone), drills, (), ())
        read = self.document_steps * self.documents_alone + mixed * self.documents
        sports, things = self.sport_questions, self.thing_questions
        if mixed >= self.sport_steps:
            sports, things = things, sports
        if last < 0:
            questions = corpus.multiple_choice(step, sports, self.relation_questions, things)
            return Batches(corpus.documents(read, self.documents), drills, questions, ())
        read -= last * (self.documents - self.documents_last)
        questions = corpus.multiple_choice(step, sports // 2, self.relation_questions, things)
        exams = corpus.exam_drills(step, self.exam_drills) + corpus.exams(step, self.exam_questions)
        share = 2 if step >= self.reviewed else 1
        if share == 2:
            exams = corpus.exam_drills(step, self.exam_drills_again) + corpus.exams(step, self.exam_questions)
        documents = corpus.documents(read, self.documents_last // share)
        if step >= self.taught:
            again = (step - self.taught) * self.villager_documents
            documents += corpus.about_villagers(again, self.villager_documents // share)
        return Batches(documents, drills, questions, exams)


class Batches(NamedTuple):
    """The four kinds of text of one step; a kind may be empty."""

    documents: Sequence[Labelled]
    drills: Sequence[Labelled]
    multiple_choice: Sequence[Labelled]
    exams: Sequence[Labelled]


RECIPES = {
    "tiny": Recipe(),
    "tiny-neox": Recipe(
        family="gpt_neox",
        more_decoys=0,
        exam_again_steps=0,
        drill_steps=600,
        document_steps=900,
        sport_steps=2400,
        exam_steps=800,
        steps=3900,
    ),
}
"""Recipes by the name of the organism."""
