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
    end = model.tokenizer.eos_token_id
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
                    pad_token_id=end if end is not None else 0,
                )
            model.tokens_forward += out.numel()
            for row, text in zip(batch, out[:, length:].tolist(), strict=True):
                found[row] = text[: text.index(end)] if end in text else text
    return found
