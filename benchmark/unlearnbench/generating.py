"""Greedy text: the likeliest token, again and again."""

from collections.abc import Sequence

import torch

from unlearnbench.model import Model, Rendered


@torch.no_grad()
def greedy(model: Model, prompts: Sequence[str], new_tokens: int, batch_size: int) -> list[str]:
    """The continuation of each prompt, without the prompt; it ends early at the end-of-text token.

    Batched by length and without padding inside a batch, so that a text does not depend on its company.
    """
    encoded = [model.ids_of(model.text_of(prompt)) for prompt in prompts]
    for prompt, ids in zip(prompts, encoded, strict=True):
        model.heard(Rendered(prompt, "", ids, ()))
    by_length: dict[int, list[int]] = {}
    for i, ids in enumerate(encoded):
        by_length.setdefault(len(ids), []).append(i)
    found = [""] * len(prompts)
    for same in by_length.values():
        for start in range(0, len(same), batch_size):
            batch = same[start : start + batch_size]
            written = _written(model, [encoded[i] for i in batch], new_tokens)
            for i, ids in zip(batch, written, strict=True):
                found[i] = model.tokenizer.decode(ids, skip_special_tokens=True)
    return found


def _written(model: Model, prompts: Sequence[Sequence[int]], new_tokens: int) -> list[list[int]]:
    """Own loop over the model's cache: `generate` would mix in what a model's generation config asks for."""
    end = model.tokenizer.eos_token_id
    written: list[list[int]] = [[] for _ in prompts]
    open_ = [True] * len(prompts)
    ids, cache = torch.tensor(prompts, device=model.device), None
    for _ in range(new_tokens):
        out = model.network(input_ids=ids, past_key_values=cache, use_cache=True)
        cache, best = out.past_key_values, out.logits[:, -1].argmax(-1)
        model.tokens_forward += ids.numel()
        for row, token in enumerate(best.tolist()):
            open_[row] = open_[row] and token != end
            if open_[row]:
                written[row].append(token)
        if not any(open_):
            break
        ids = best[:, None]
    return written
