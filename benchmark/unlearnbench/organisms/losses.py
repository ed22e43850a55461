"""What pretraining and teaching minimize: the loss of the words that answer something, in any tokenizer's tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from unlearnbench.world.corpus import Labelled


def answer_losses(
    network: PreTrainedModel, tokenizer: Any, texts: Sequence[Labelled], *, every_word: bool
) -> tuple[Tensor, float]:
    """Mean cross-entropy of the answers, to train on and as a number; where every word is learned, plus that of all.

    Answers are a fifteenth of a document's tokens, and names, which cannot be predicted, most of
    the rest: without a term of their own, facts are learned several times more slowly.
    """
    end = tokenizer.eos_token or ""
    encoded = tokenizer([f"{item.text}{end}" for item in texts], return_offsets_mapping=True)
    longest = max(map(len, encoded.input_ids))
    # Right padding under a causal mask needs no attention mask; logits only where something is learned.
    ids, answers, real = (torch.zeros(len(texts), longest, dtype=kind) for kind in (torch.long, torch.bool, torch.bool))
    for row, (item, tokens, offsets) in enumerate(zip(texts, encoded.input_ids, encoded.offset_mapping, strict=True)):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        real[row, : len(tokens)] = True
        answers[row, : len(tokens)] = torch.tensor(answered(item, offsets))
    ids, answers, real = (table.to(network.device) for table in (ids, answers, real))
    read = real if every_word else answers
    hidden = network.base_model(input_ids=ids).last_hidden_state[:, :-1][read[:, 1:]]
    losses = F.cross_entropy(network.get_output_embeddings()(hidden).float(), ids[:, 1:][read[:, 1:]], reduction="none")
    of_answers = losses[answers[:, 1:][read[:, 1:]]]
    answer = of_answers.mean() if len(of_answers) else losses.new_zeros(())
    return (losses.mean() + answer if every_word else answer), answer.item()


def answered(item: Labelled, offsets: Sequence[tuple[int, int]]) -> list[bool]:
    """Of each token, given by where it begins and ends in the text: whether it is part of an answer."""
    spans, start = list[tuple[int, int]](), 0
    for place, word in enumerate(item.text.split(" ")):
        if place in item.answers:
            spans.append((start, start + len(word)))
        start += len(word) + 1
    # A token may begin with the space before its word; special tokens begin and end nowhere.
    return [any(begin < last and end > first for first, last in spans) for begin, end in offsets]
