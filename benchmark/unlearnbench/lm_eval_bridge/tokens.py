"""The tokens of a text as `HFLM` finds them, many texts at a time, and each only once."""

from array import array
from collections.abc import Iterable, Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase

MOST_KEPT = 20_000_000  # tokens, 4 bytes each
AT_ONCE = 1_000  # texts: the tokenizer keeps offsets and masks of all of them while it works


class TokenStore:
    """Tokens by text. They do not depend on weights, so that an edited model finds them done."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, add_bos_token: bool | None) -> None:
        self._tokenizer = tokenizer
        self._add_bos_token = add_bos_token
        self._kept: dict[str, array[int]] = {}
        self._size = 0
        self._state: object = None

    def encode(self, texts: Iterable[str], prefix: str | None) -> dict[str, Sequence[int]]:
        """Tokens by text. One that begins with `prefix` (the BOS, written out) is given no second one."""
        distinct = dict.fromkeys(texts)
        self._forget_if_changed()
        found = {text: self._kept[text] for text in distinct if text in self._kept}
        missing = [text for text in distinct if text not in found]
        bare = {text for text in missing if prefix is not None and text.startswith(prefix)}
        for some, special in (([t for t in missing if t not in bare], self._add_bos_token), (sorted(bare), False)):
            for begin in range(0, len(some), AT_ONCE):
                part = some[begin : begin + AT_ONCE]
                found.update(zip(part, self._encode(part, special), strict=True))
        self._keep({text: found[text] for text in missing})
        return dict(found)

    def encode_plain(self, texts: Iterable[str]) -> dict[str, Sequence[int]]:
        """Tokens by text, without any special token: what follows an empty context."""
        some = list(dict.fromkeys(texts))
        return dict(zip(some, self._encode(some, False), strict=True)) if some else {}

    def _encode(self, texts: list[str], special: bool | None) -> list["array[int]"]:
        options: dict[str, Any] = {} if special is None else {"add_special_tokens": special}
        found = self._tokenizer(
            texts, return_attention_mask=False, return_token_type_ids=False, verbose=False, **options
        )
        return [array("i", ids) for ids in found.input_ids]

    def _keep(self, found: dict[str, "array[int]"]) -> None:
        size = sum(map(len, found.values()))
        if self._size + size > MOST_KEPT:
            self._kept, self._size = {}, 0
        if size <= MOST_KEPT:
            self._kept.update(found)
            self._size += size

    def _forget_if_changed(self) -> None:
        """A tokenizer may be given tokens, or told to add a BOS, between two calls."""
        state = (len(self._tokenizer), tuple(self._tokenizer("a").input_ids), tuple(self._tokenizer.all_special_tokens))
        if state != self._state:
            self._kept, self._size, self._state = {}, 0, state
