"""A transformer whose look-up is wired in by hand, so that where facts are is true by construction."""

import random
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from unlearnbench.facts import Fact, Split
from unlearnbench.model.model import Model

SUBJECTS = [f"S{i}" for i in range(24)]
ANSWERS = ["red", "green", "blue"]
WORDS = ["<pad>", "Fact:", "likes", *SUBJECTS, *ANSWERS]
LOOK_UP, EXTRACTION, BLOCKS, HEADS = 1, 2, 4, 2


@dataclass(frozen=True)
class Wired:
    """The model and facts about its subjects."""

    model: Model
    split: Split


def answer_of(subject: int) -> int:
    """Which answer belongs to a subject: eight each, and not in order."""
    order = random.Random("wired").sample(range(len(SUBJECTS)), len(SUBJECTS))
    return order[subject] % len(ANSWERS)


@pytest.fixture
def wired() -> Callable[..., Wired]:
    """Makes the model; `embedded=True` has the answers in the embeddings and no MLP that looks anything up.

    Width 32: a subject's one-hot (0–23), its answer (24–26), the answer at the end (27–29), `is a subject` (30),
    `is the end` (31). Block 1's MLP writes the answer at the subject, block 2's first head fetches it to the end.
    """

    def make(*, embedded: bool = False, noise: float = 0.0) -> Wired:
        model = Model(_network(embedded, noise), _tokenizer())
        facts = [_fact(i) for i in range(len(SUBJECTS))]
        return Wired(model, Split(facts[:4], facts[4:8], facts[8:22], (), facts[22:]))

    return make


def _fact(subject: int) -> Fact:
    answer = ANSWERS[answer_of(subject)]
    others = tuple(other for other in ANSWERS if other != answer)
    return Fact(SUBJECTS[subject], "likes", f"Fact: {SUBJECTS[subject]} likes", answer, others, edit_target=others[0])


def _tokenizer() -> PreTrainedTokenizerFast:
    plain = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<pad>"))
    plain.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=plain, pad_token="<pad>")


def _network(embedded: bool, noise: float) -> GPT2LMHeadModel:
    config = GPT2Config(
        vocab_size=len(WORDS), n_embd=32, n_inner=32, n_layer=BLOCKS, n_head=HEADS, n_positions=16,
        activation_function="relu", tie_word_embeddings=False, attn_pdrop=0.0, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    network = GPT2LMHeadModel(config)
    body = network.transformer
    body.ln_f = nn.Identity()
    for block in body.h:
        block.ln_1, block.ln_2 = nn.Identity(), nn.Identity()
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape) * noise)
        for i, subject in enumerate(SUBJECTS):
            row = body.wte.weight[WORDS.index(subject)]
            row[i], row[30] = 1.0, 1.0
            if embedded:
                row[24 + answer_of(i)] = 1.0
        body.wte.weight[WORDS.index("likes")][31] = 1.0
        looking, fetching = body.h[LOOK_UP].mlp, body.h[EXTRACTION].attn
        if not embedded:
            for i in range(len(SUBJECTS)):  # Conv1D: x @ weight
                looking.c_fc.weight[i, i] = 1.0
                looking.c_proj.weight[i, 24 + answer_of(i)] = 1.0
        query, key, value = 0, 32, 64  # the first head, 16 wide
        fetching.c_attn.weight[31, query] = 40.0
        fetching.c_attn.weight[30, key] = 4.0
        for j in range(3):
            fetching.c_attn.weight[24 + j, value + j] = 1.0
            fetching.c_proj.weight[j, 27 + j] = 1.0
            network.lm_head.weight[WORDS.index(ANSWERS[j]), 27 + j] = 8.0
    return network
