"""Reading a model: tokens of a prompt and its answer, logits at chosen positions, residuals, losses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING

from unlearnbench.errors import UsageError
from unlearnbench.lazy import torch
from unlearnbench.model.hooks import intervened

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from unlearnbench.model.model import Model

Pair = tuple[str, str]
"""A prompt and its answer."""
TODAY = "{%- macro strftime_now(format) -%}26 Jul 2024{%- endmacro -%}"
"""What chat templates call for the date, such as Llama's; the day is the one that theirs fall back to."""
HEAD_ROWS = 32768
"""Rows of the output layer that are held in float32 at once."""
Position = tuple[list[int], int]
"""Token ids of a prompt, and which of them is meant."""


def tokens_of(model: Model, text: str) -> list[int]:
    """The text's token ids with the one BOS that the tokenizer begins with, if any, and nothing after the text.

    An EOS that a tokenizer adds is no part of an answer (scoring it costs a model that does not expect it some ten
    nats), and a BOS that is written at the beginning of a text would be doubled.
    """
    ids, bos = list(model.tokenizer(text).input_ids), model.tokenizer.bos_token_id
    added = len(model.added_at_end)
    if added and tuple(ids[-added:]) == model.added_at_end:
        del ids[-added:]
    return ids[1:] if bos is not None and ids[:2] == [bos, bos] else ids


def framed(model: Model, prompt: str) -> str:
    """A prompt as the model sees it: itself, or a user's turn in the chat template, and the beginning of the answer."""
    if not model.chat:
        return prompt
    turn = [{"role": "user", "content": prompt}]
    with dated(model.tokenizer):
        return str(model.tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True))


@contextmanager
def dated(tokenizer: PreTrainedTokenizerBase) -> Iterator[None]:
    """Within: a chat template that tells the date always tells the same; else no run could be repeated."""
    template = tokenizer.chat_template
    if isinstance(template, str):
        tokenizer.chat_template = TODAY + template
    try:
        yield
    finally:
        tokenizer.chat_template = template


def prompt_tokens(model: Model, prompt: str) -> list[int]:
    """Token ids of a prompt; a chat template says itself whether there is a BOS."""
    return framed_tokens(model, framed(model, prompt))


def framed_tokens(model: Model, text: str) -> list[int]:
    """Token ids of what `framed` gave, or of a beginning of it."""
    return list(model.tokenizer(text, add_special_tokens=False).input_ids) if model.chat else tokens_of(model, text)


def encode(model: Model, prompt: str, continuation: str) -> tuple[list[int], list[int]]:
    """Token ids of the prompt, and of the continuation after the space that joins the two.

    The whole text is encoded at once and split where the prompt ends, so that tokens are those of
    running text. In a chat template the continuation begins a turn, without that space. Raises `UsageError` where
    nothing is left for either part.
    """
    known, contexts = model.encoded, model.contexts
    key = (prompt, continuation)
    if key not in known:
        text = framed(model, prompt)
        if prompt not in contexts:
            contexts[prompt] = framed_tokens(model, text)
        context = contexts[prompt]
        whole = framed_tokens(model, f"{text}{'' if model.chat else ' '}{continuation}")
        end = 0
        while end < min(len(context), len(whole) - 1) and context[end] == whole[end]:
            end += 1
        if end == 0:
            raise UsageError(f"the tokenizer leaves nothing of prompt {prompt!r} or answer {continuation!r}")
        refuse_unknown_tokens(model, whole, f"{prompt} {continuation}")
        known[key] = (whole[:end], whole[end:])
    before, after = known[key]
    return list(before), list(after)  # the caller's own: what it does to them stays with it


def refuse_unknown_tokens(model: Model, ids: Sequence[int], text: str) -> None:
    """Raise `UsageError` where the tokenizer gives a token that the model has no embedding for."""
    if max(ids, default=0) >= model.vocabulary:
        raise UsageError(
            f"the tokenizer makes token {max(ids)} of {text[:80]!r}, and the model has {model.vocabulary} embeddings",
            "tokenizer and model do not belong together: save both into one folder, or resize the embeddings",
        )


def padded(model: Model, sequences: Sequence[list[int]]) -> torch.Tensor:
    """Token ids [sequences, longest], padded on the right, where a causal model cannot look."""
    longest = max(map(len, sequences))
    return torch.tensor([ids + [0] * (longest - len(ids)) for ids in sequences], device=model.device)


def logits_at(model: Model, sequences: list[list[int]], rows: list[int], columns: list[int]) -> torch.Tensor:
    """Logits [N, vocabulary] after the N tokens at (row, column), in float32.

    The sequences are padded on the right, where a causal model cannot look. Only the hidden
    states that are asked for pass through the output layer, inside the model's own forward: scaling
    and soft-capping that an architecture applies to logits are applied here too. Under bfloat16 the output layer
    is computed in float32: rounded to eight bits, two answers of nearly the same likelihood tie.
    """
    head = model.network.get_output_embeddings()

    def choose(_: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor]:
        hidden = inputs[0]  # with device_map, not on the device of the embeddings
        at = torch.tensor(rows, device=hidden.device), torch.tensor(columns, device=hidden.device)
        return (hidden[at][None],)

    handles = [head.register_forward_pre_hook(choose), head.register_forward_hook(_in_float32)]
    try:
        logits = run(model, sequences)
    finally:
        for handle in handles:
            handle.remove()
    return logits[0].float()


class Reached(Exception):
    """The forward pass has come as far as it is wanted."""


def run(model: Model, sequences: Sequence[list[int]]) -> torch.Tensor:
    """The network's logits [sequences, longest, vocabulary], or what a hook makes of them.

    Blocks whose output is known (`below.kept_below`) are not run. The tokens are counted.
    """
    with _skipping(model, sequences) as (ids, first):
        logits: torch.Tensor = model.network(input_ids=ids, use_cache=False).logits
    _count(model, ids, 1 - first / model.blocks if first else 1, logits)
    return logits


def run_through(model: Model, sequences: Sequence[list[int]], block: int) -> None:
    """The same up to this block, for whoever listens to it: what is above is not run."""
    last = list[torch.Tensor]()

    def stop(output: torch.Tensor) -> torch.Tensor:
        last.append(output)
        raise Reached

    with (
        intervened(model, {f"{model.family.blocks}.{block}": stop}),
        _skipping(model, sequences) as (ids, first),
        suppress(Reached),
    ):
        model.network(input_ids=ids, use_cache=False)
    _count(model, ids, (block + 1 - first) / model.blocks, last[0])


@contextmanager
def _skipping(model: Model, sequences: Sequence[list[int]]) -> Iterator[tuple[torch.Tensor, int]]:
    """Within: the blocks that need not be run are not. Yields the padded tokens, and the first block that is run."""
    below = model.shortcut()
    with below.skipped(sequences) if below else nullcontext():
        yield padded(model, sequences), below.blocks if below else 0


def _count(model: Model, ids: torch.Tensor, share: float, found: torch.Tensor) -> None:
    """Count the tokens of a pass through a share of the model."""
    tokens = round(ids.numel() * share)
    model.tokens_forward += tokens
    if found.requires_grad:
        model.tokens_backward += tokens


def _in_float32(head: torch.nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor | None:
    """What an output layer in half precision puts out, computed anew in float32, some of the vocabulary at a time."""
    if output.dtype == torch.float32 or not isinstance(head, torch.nn.Linear):
        return None
    hidden = inputs[0].float()
    parts = [torch.nn.functional.linear(hidden, rows.float()) for rows in torch.split(head.weight, HEAD_ROWS)]
    logits = torch.cat(parts, -1)
    return logits if head.bias is None else logits + head.bias.float()


def last_logits(model: Model, sequences: Sequence[list[int]]) -> torch.Tensor:
    """Logits [sequences, vocabulary] after the last token of each."""
    return logits_at(model, list(sequences), list(range(len(sequences))), [len(ids) - 1 for ids in sequences])


def answer_logits(model: Model, pairs: Sequence[Pair]) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits [tokens, vocabulary] where each answer token of each pair is predicted, and those tokens."""
    sequences, rows, columns, targets = [], list[int](), list[int](), list[int]()
    for row, (prompt, answer) in enumerate(pairs):
        context, tokens = encode(model, prompt, answer)
        sequences.append(context + tokens[:-1])
        rows += [row] * len(tokens)
        columns += range(len(context) - 1, len(context) + len(tokens) - 1)
        targets += tokens
    logits = logits_at(model, sequences, rows, columns)
    return logits, torch.tensor(targets, device=logits.device)


def answer_logprobs(model: Model, pairs: Sequence[Pair]) -> torch.Tensor:
    """ln p of every answer token of every pair, [tokens], teacher-forced, in float32."""
    logits, targets = answer_logits(model, pairs)
    return -torch.nn.functional.cross_entropy(logits, targets, reduction="none")


def pair_logprobs(model: Model, pairs: Sequence[Pair]) -> torch.Tensor:
    """ln p of every pair's whole answer, [pairs]: the sum over its tokens."""
    lengths = [len(encode(model, prompt, answer)[1]) for prompt, answer in pairs]
    found = answer_logprobs(model, pairs)
    owner = torch.repeat_interleave(torch.tensor(lengths, device=found.device))
    return torch.zeros(len(pairs), device=found.device).index_add(0, owner, found)


def answers_before(model: Model, pairs: Sequence[Pair], batch_size: int = 64) -> dict[Pair, torch.Tensor]:
    """ln p of each pair's whole answer as it is now, without gradients: what changes are measured from."""
    found = dict[Pair, torch.Tensor]()
    with torch.no_grad():
        for start in range(0, len(pairs), batch_size):
            batch = pairs[start : start + batch_size]
            found |= zip(batch, pair_logprobs(model, batch), strict=True)
    return found


def answer_loss(model: Model, pairs: Sequence[Pair]) -> torch.Tensor:
    """Mean cross-entropy of the answer tokens: −mean ln p."""
    return -answer_logprobs(model, pairs).mean()


def text_loss(model: Model, texts: Sequence[list[int]]) -> torch.Tensor:
    """Mean next-token cross-entropy over texts given as token ids; each needs two tokens or more."""
    logits, following, _ = text_logits(model, texts)
    return torch.nn.functional.cross_entropy(logits, following)


def text_logits(
    model: Model, texts: Sequence[list[int]]
) -> tuple[torch.Tensor, torch.Tensor, Sequence[tuple[int, int]]]:
    """Logits [positions, vocabulary] wherever a token follows, the tokens that do, and (text, position) of each."""
    at = [(row, column) for row, ids in enumerate(texts) for column in range(len(ids) - 1)]
    logits = logits_at(model, list(texts), [r for r, _ in at], [c for _, c in at])
    return logits, torch.tensor([texts[r][c + 1] for r, c in at], device=logits.device), at


def outputs_at(
    model: Model, paths: Sequence[str], positions: Sequence[Position], batch_size: int = 64
) -> dict[str, torch.Tensor]:
    """What each of these modules puts out [positions, width], at one position of each prompt; no gradients."""
    collected: dict[str, list[torch.Tensor]] = {path: [] for path in paths}

    def keep(path: str, columns: list[int]) -> Callable[[torch.Tensor], torch.Tensor]:
        def record(output: torch.Tensor) -> torch.Tensor:
            collected[path].append(output[torch.arange(len(columns)), torch.tensor(columns)])
            return output

        return record

    for start in range(0, len(positions), batch_size):
        batch = positions[start : start + batch_size]
        columns = [column for _, column in batch]
        with torch.no_grad(), intervened(model, {path: keep(path, columns) for path in paths}):
            logits_at(model, [ids for ids, _ in batch], [0], [0])
    return {path: torch.cat(parts) for path, parts in collected.items()}


def residuals_at(model: Model, positions: Sequence[Position], batch_size: int = 64) -> list[torch.Tensor]:
    """The residual stream [positions, width] after each block, at one position of each prompt; no gradients."""
    paths = [f"{model.family.blocks}.{block}" for block in range(model.blocks)]
    return list(outputs_at(model, paths, positions, batch_size).values())
