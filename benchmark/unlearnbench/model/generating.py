"""What a model goes on to say: the likeliest token, again and again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from unlearnbench.lazy import torch

if TYPE_CHECKING:
    from unlearnbench.model.model import Model


def continued(model: Model, sequences: Sequence[list[int]], tokens: int, batch_size: int) -> list[list[int]]:
    """At most so many tokens after each sequence, greedily, up to an EOS, which is left out.

    Sequences of one length are continued together, so that none is padded.
    """
    by_length: dict[int, list[int]] = {}
    for row, ids in enumerate(sequences):
        by_length.setdefault(len(ids), []).append(row)
    found: list[list[int]] = [[] for _ in sequences]
    ends = _ends(model)
    for length, rows in sorted(by_length.items()):
        for start in range(0, len(rows), batch_size):
            batch = rows[start : start + batch_size]
            prompts = torch.tensor([sequences[row] for row in batch], device=model.device)
            with torch.no_grad():
                out = model.network.generate(
                    input_ids=prompts,
                    attention_mask=torch.ones_like(prompts),
                    max_new_tokens=tokens,
                    do_sample=False,
                    num_beams=1,
                    repetition_penalty=1.0,  # and whatever else a model's own configuration would have it avoid
                    no_repeat_ngram_size=0,
                    min_new_tokens=0,
                    eos_token_id=ends or None,
                    pad_token_id=ends[0] if ends else 0,
                )
            model.tokens_forward += out.numel()
            for row, text in zip(batch, out[:, length:].tolist(), strict=True):
                stop = next((n for n, token in enumerate(text) if token in ends), len(text))
                found[row] = text[:stop]
    return found


def _ends(model: Model) -> list[int]:
    """The tokens that end a text: the tokenizer's, and those of the model's configuration."""
    told = getattr(model.network.generation_config, "eos_token_id", None)
    others = told if isinstance(told, list) else [told]
    return [end for end in dict.fromkeys((model.tokenizer.eos_token_id, *others)) if end is not None]
