"""lm-eval's `HFLM` with the same numbers and a fraction of the work."""

from collections.abc import Sequence

import torch

from unlearnbench.errors import UsageError
from unlearnbench.lm_eval_bridge.guard import evaluating, padding_kept, process_kept, untouched
from unlearnbench.lm_eval_bridge.quiet import quiet
from unlearnbench.lm_eval_bridge.sharing import Row, Tokens, Wanted, batches, shared
from unlearnbench.lm_eval_bridge.tokens import TokenStore
from unlearnbench.model.model import Model
from unlearnbench.model.reading import logits_at

with process_kept():  # the import sets HF_XET_HIGH_PERFORMANCE
    from lm_eval.api.instance import Instance  # type: ignore[import-untyped]
    from lm_eval.models.huggingface import HFLM  # type: ignore[import-untyped]

MOST_LOGITS = 2**26  # at a time, unless one sequence needs more: 256 MB in float32
Answer = tuple[float, bool]
"""ln p of a continuation, summed over its tokens, and whether each of them is the likeliest at its place."""
Encoded = tuple[tuple[str, str] | None, Sequence[int], Sequence[int]]
"""The texts, if they are known, and the tokens of context and continuation."""


class SharedPrefixLM(HFLM):
    """The `lm` to give to lm-eval for a `Model`, whose weights may be edited between two calls.

    What `HFLM` does per request is done once: texts are tokenized in bulk and remembered, equal contexts are run
    once, a sequence stands for all its beginnings. What it does at every place of every sequence is done where
    an answer is read: output layer and log-softmax, which with a vocabulary of 50,000 are nearly all the work.
    The log-softmax is in float32 whatever the weights are in; in bfloat16 choices tie by the dozen, and ties go
    to the first.

    Answers are not remembered from one call to the next. A digest of the weights would notice an edit, but not a
    forward hook, and over a small model costs as much as the answers do.

    `loglikelihood_rolling` (its windows are scored as above) and `generate_until` are `HFLM`'s own.
    """

    def __init__(
        self, model: Model, batch_size: int = 64, *, add_bos_token: bool | None = None, max_length: int | None = None
    ) -> None:
        if batch_size < 1:
            raise UsageError(f"the batch size is {batch_size}", "give 1 or more")
        self.held = model
        with untouched(model), quiet():
            super().__init__(
                pretrained=model.network,
                tokenizer=model.tokenizer,
                batch_size=batch_size,
                max_length=max_length,
                add_bos_token=add_bos_token,
                softmax_dtype="float32",
            )
        self._texts = TokenStore(model.tokenizer, add_bos_token)
        self.truncated = 0
        """How many requests of the latest call lost the beginning of their context to `max_length`."""

    @property
    def device(self) -> torch.device:
        """Where inputs go now, wherever the model was when this was made."""
        return self.held.device

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = True) -> list[Answer]:
        """One answer per (context, continuation), in order."""
        return self._loglikelihood_tokens(self._encode([request.args for request in requests]))

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = True) -> list[float]:
        """ln p of each whole text, in order; `HFLM` cuts it into windows."""
        self._refuse_without_start()
        found: list[float] = super().loglikelihood_rolling(requests, disable_tqdm=disable_tqdm)
        return found

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = True) -> list[str]:
        """One text per (context, arguments), in order; nothing of it is ours but the padding token that it needs."""
        self._refuse_without_start()
        with evaluating(self.held.network), padding_kept(self.held.tokenizer):
            found: list[str] = super().generate_until(requests, disable_tqdm=disable_tqdm)
        return found

    def _refuse_without_start(self) -> None:
        """Raise `UsageError` where a text can begin with no token: `HFLM` would fail without saying why."""
        if self.prefix_token_id is None:
            raise UsageError(
                "the tokenizer has neither a beginning-of-text nor an end-of-text token, and this task needs one",
                "set bos_token or eos_token in the tokenizer's files, or leave the task out",
            )

    def _encode(self, pairs: Sequence[tuple[str, str]]) -> list[Encoded]:
        """Tokens of context and continuation, split as `HFLM` does it.

        The whole text is encoded and cut where the context, encoded alone, ends. Spaces at the end of the context
        belong to the continuation. An empty context is one BOS (or end of text), unless the continuation brings it.
        """
        split = [(c.rstrip(), c[len(c.rstrip()) :] + k) for c, k in pairs]
        prefix = None if self.prefix_token_id is None else self.held.tokenizer.decode(self.prefix_token_id)
        tokens = self._texts.encode((text for c, k in split for text in (c, c + k)), prefix)
        plain = self._texts.encode_plain(continuation for context, continuation in pairs if context == "")
        found: list[Encoded] = []
        for (context, continuation), (kept, moved) in zip(pairs, split, strict=True):
            if context:
                before, whole = tokens[kept], tokens[kept + moved]
                found.append(((context, continuation), before, whole[len(before) :]))
                continue
            self._refuse_without_start()
            after = plain[continuation]
            doubled = len(after) > 0 and after[0] == self.prefix_token_id
            start, rest = (after[:1], after[1:]) if doubled else ([self.prefix_token_id], after)
            found.append(((context, continuation), start, rest))
        return found

    def _loglikelihood_tokens(
        self, requests: Sequence[Encoded], disable_tqdm: bool = True, override_bs: int | None = None
    ) -> list[Answer]:
        """One answer per request, in order; every way that lm-eval asks for likelihoods ends here."""
        longest = self.max_length
        for texts, context, continuation in requests:
            if not context or not 0 < len(continuation) <= longest:
                raise AssertionError(_why_not(texts, context, continuation, longest))
        self.truncated = sum(len(c) + len(k) > longest + 1 for _, c, k in requests)
        rows = shared([Wanted.of(context, continuation, longest) for _, context, continuation in requests])
        answers: list[Answer] = [(0.0, False)] * len(requests)
        with evaluating(self.held.network):
            for batch in batches(rows, override_bs or self.batch_size, self._places_at_once):
                for request, answer in self._read(batch):
                    answers[request] = answer
        for (texts, _, _), answer in zip(requests, answers, strict=True):
            if texts is not None:
                self.cache_hook.add_partial("loglikelihood", texts, answer)
        return answers

    @property
    def _places_at_once(self) -> int:
        return max(1, MOST_LOGITS // int(self.held.network.get_output_embeddings().weight.shape[0]))

    @torch.no_grad()
    def _read(self, batch: Sequence[Row]) -> list[tuple[int, Answer]]:
        """Run the sequences; the answers by request."""
        places = [(k, column) for k, row in enumerate(batch) for column in sorted(row.columns)]
        index = {place: n for n, place in enumerate(places)}
        sequences = [list(row.sequence) for row in batch]
        logits = logits_at(self.held, sequences, [k for k, _ in places], [column for _, column in places])
        found = logits.log_softmax(-1)  # [places, vocabulary], float32
        likeliest = found.argmax(-1).tolist()
        readings = [(k, reading) for k, row in enumerate(batch) for reading in row.readings]
        reads = [
            (index[k, reading.column + i], token) for k, reading in readings for i, token in enumerate(reading.tokens)
        ]
        values = iter(found[[n for n, _ in reads], [token for _, token in reads]].double().tolist())
        answers: list[tuple[int, Answer]] = []
        for k, reading in readings:
            total = sum(next(values) for _ in reading.tokens)
            greedy = _follows(likeliest, index[k, reading.column], reading.tokens)
            answers.extend((request, (total, greedy)) for request in reading.requests)
        return answers


def scorer_of(model: Model, batch_size: int) -> SharedPrefixLM:
    """The scorer of a model, made once for each model and batch size: it remembers how texts are tokenized."""
    made: dict[int, SharedPrefixLM] = vars(model).setdefault("_lm_eval_scorers", {})
    if batch_size not in made:
        made[batch_size] = SharedPrefixLM(model, batch_size)
    return made[batch_size]


def _why_not(texts: tuple[str, str] | None, context: Sequence[int], continuation: Sequence[int], longest: int) -> str:
    """What cannot be asked (an `AssertionError` in lm-eval too), in words."""
    where = f"context {texts[0]!r}, continuation {texts[1]!r}" if texts else "a window of a text"
    if continuation and context:
        return f"{where}: the continuation has {len(continuation)} tokens, the model takes {longest}"
    return f"{where}: the tokenizer leaves nothing of the {'continuation' if context else 'context'}"


def _follows(likeliest: list[int], first: int, tokens: Tokens) -> bool:
    """Whether each token is the likeliest at its place; the places of one continuation are next to each other."""
    return all(likeliest[first + i] == token for i, token in enumerate(tokens))
