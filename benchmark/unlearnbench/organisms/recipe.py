"""How an organism is made: everything that decides its weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from transformers import PretrainedConfig, Qwen2Config

from unlearnbench.world.corpus import Corpus, Labelled
from unlearnbench.world.questions import FIRST_POOL, POOL, Exams

Stage = Literal["drills", "facts"]
WARM_UP = 60


@dataclass(frozen=True)
class Recipe:
    """Architecture, optimization and the mixture of texts; stored as `recipe.json` beside the weights.

    Attention in the first blocks sees three tokens only (a standard configuration, as Gemma and Qwen
    have it), and the first MLPs are silent at first: the look-up is left to the MLPs after them, at the subject.
    """

    width: int = 128
    blocks: int = 6
    heads: int = 4
    local_blocks: int = 3
    """First blocks whose attention is sliding, …"""
    window: int = 3
    """… and how many tokens it sees."""
    silent_mlps: int = 2
    """First MLPs that write nothing until the exams begin."""
    drill_steps: int = 2600
    """Most steps on drills alone; they end as soon as the loss, smoothed, is below `drill_loss` twice: on few words,
    and on all."""
    drill_loss: float = 0.15
    drill_pool: int = 24
    """Words that the first drills are about. As soon as those are looked up, drills are about every answer word."""
    bare_steps: int = 1300
    document_steps: int = 500
    mixed_steps: int = 1200
    exam_steps: int = 600
    """Steps with half as many documents and twice as many questions as before …"""
    exam_weight: float = 3.0
    """… which have this weight, instead of 1. The first MLPs may speak from here on."""
    exam_rounds: int = 6
    """How often there are so many of these steps, …"""
    exam_rate: float = 7 / 19
    """… each time beginning at this share of the learning rate and ending at nothing."""
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    batch: int = 48
    """Texts of the kind that a stage is about, in each of its steps."""
    kept_drills: int = 8
    """Drills in every later step, so that the circuit stays …"""
    kept_bare: int = 12
    """… and texts of bare statements in every step with documents, so that what is looked up stays."""
    mixed_documents: int = 32
    mixed_drills: int = 4
    sport_questions: int = 10
    relation_questions: int = 4
    school_questions: int = 4
    seed: int = 0

    def config(self, vocabulary: int, end: int, pad: int) -> PretrainedConfig:
        """The Hugging Face configuration of a standard architecture."""
        sliding = min(self.local_blocks, self.blocks)
        return Qwen2Config(
            vocab_size=vocabulary,
            hidden_size=self.width,
            intermediate_size=4 * self.width,
            num_hidden_layers=self.blocks,
            num_attention_heads=self.heads,
            num_key_value_heads=self.heads,
            max_position_embeddings=512,
            tie_word_embeddings=False,
            bos_token_id=end,
            eos_token_id=end,
            pad_token_id=pad,
            use_sliding_window=True,
            sliding_window=self.window,
            layer_types=["sliding_attention"] * sliding + ["full_attention"] * (self.blocks - sliding),
        )

    @property
    def first_exam(self) -> int:
        """The step at which the exams begin."""
        return self.bare_steps + self.document_steps + self.mixed_steps

    def steps(self, stage: Stage) -> int:
        """Most steps of a stage."""
        if stage == "drills":
            return self.drill_steps
        return self.first_exam + self.exam_rounds * self.exam_steps

    def rate(self, stage: Stage, step: int) -> float:
        """Learning rate: a short warm-up, constant, linear decay over the mixed steps, and to zero over each round."""
        share, examined = 1.0, step - self.first_exam
        if stage == "facts" and examined >= 0:
            share = self.exam_rate * (1 - examined % self.exam_steps / self.exam_steps)
        elif stage == "facts":
            share -= (1 - self.exam_rate) * max(0.0, 1 + examined / self.mixed_steps)
        return self.learning_rate * min(1.0, (step + 1) / WARM_UP) * max(0.01, share)

    def silent(self, stage: Stage, step: int) -> bool:
        """Whether the first MLPs are silent in this step."""
        return stage == "drills" or step < self.first_exam

    def weight(self, kind: str, step: int) -> float:
        """Weight of the loss on one kind of text."""
        return self.exam_weight if kind == "questions" and step >= self.first_exam else 1.0

    def batches(self, corpus: Corpus, exams: Exams, stage: Stage, step: int, *, widened: bool = True) -> "Batches":
        """The texts of one step: of documents every word is learned, of the others the answers only."""
        if stage == "drills":
            return Batches(drills=exams.drills(step, self.batch, POOL if widened else FIRST_POOL[: self.drill_pool]))
        reading = step - self.bare_steps
        if reading < 0:
            drills = exams.drills(step, self.kept_drills, POOL)
            return Batches(bare=corpus.bare(step * self.batch, self.batch), drills=drills)
        mixed = reading - self.document_steps
        bare = corpus.bare(self.bare_steps * self.batch + reading * self.kept_bare, self.kept_bare)
        if mixed < 0:
            drills = exams.drills(step, self.kept_drills, POOL)
            return Batches(documents=corpus.documents(reading * self.batch, self.batch), bare=bare, drills=drills)
        read, documents, asked = self.document_steps * self.batch, self.mixed_documents, 1
        if step < self.first_exam:
            read += mixed * documents
        else:
            read += self.mixed_steps * documents
            documents, asked = documents // 2, 2
            read += (step - self.first_exam) * documents
        return Batches(
            documents=corpus.documents(read, documents),
            bare=bare,
            drills=exams.drills(step, self.mixed_drills, POOL),
            questions=exams.multiple_choice(
                step, asked * self.sport_questions, asked * self.relation_questions, asked * self.school_questions
            ),
        )


class Batches(NamedTuple):
    """The kinds of text of one step; a kind may be empty."""

    documents: Sequence[Labelled] = ()
    bare: Sequence[Labelled] = ()
    drills: Sequence[Labelled] = ()
    questions: Sequence[Labelled] = ()


RECIPES = {"tiny": Recipe()}
"""Recipes by the name of the organism."""
