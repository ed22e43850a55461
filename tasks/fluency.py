"""Does it still speak? A model that refuses, repeats itself or babbles does not know less: it says less."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from unlearnbench.asking.attack import as_base
from unlearnbench.asking.items import Item, continued_freely
from unlearnbench.asking.place import AskingPlace
from unlearnbench.asking.row import Metric, Row
from unlearnbench.asking.task import Battery, Task
from unlearnbench.editing.refusals import REFUSALS
from unlearnbench.facts import Fact, Split
from unlearnbench.lazy import torch
from unlearnbench.model.generating import continued
from unlearnbench.model.model import Model
from unlearnbench.model.reading import last_logits, prompt_tokens, text_logits
from unlearnbench.registry import register

MARKS = ("i don't know", "i do not know", "cannot", "can't", "unable", "not sure", "no idea", "sorry", "unknown")
"""What a refusal says, besides those that objectives teach."""


@register("fluency")
@dataclass(frozen=True, kw_only=True)
class Fluency(Task):
    """What the model goes on to say after prompts: how strange to the base, how repetitive, and whether it refuses."""

    tokens: Annotated[int, Field(ge=4)] = 24
    """That are generated, greedily."""

    version: ClassVar[int] = 1
    primary: ClassVar[str] = "maintain_surprise"
    order: ClassVar[int] = 95
    battery: ClassVar[Battery] = "quick"

    def metrics(self, split: Split) -> Sequence[Metric]:
        """`surprise`: −ln p of a token to the base (nats); `entropy` of the next token; shares of the others."""
        return [
            Metric(f"{prefix}{value}", value, subset, "general", "min" if value != "entropy" else "oracle")
            for subset, prefix in (("maintain", "maintain_"), ("forget", ""))
            for value in ("surprise", "repetition", "refusal", "entropy")
        ]

    def items(self, model: Model, split: Split, count: int) -> list[Item]:
        """Prompts that are continued freely."""
        sides = {"forget": split.forget, "maintain": split.maintain_test}
        return [
            item
            for subset, facts in sides.items()
            for item in continued_freely(model, {fact.id: fact.prompt for fact in facts[:count]}, subset)
        ]

    def rows(self, model: Model, split: Split, place: AskingPlace) -> list[Row]:
        """One row for each fact."""
        return self._said(model, split.forget, "forget", place) + self._said(
            model, split.maintain_test, "maintain", place
        )

    def _said(self, model: Model, facts: Sequence[Fact], subset: str, place: AskingPlace) -> list[Row]:
        prompts = [prompt_tokens(model, fact.prompt) for fact in facts]
        texts = continued(model, prompts, self.tokens, place.batch_size)
        spread = _entropies(model, prompts, place.batch_size)
        with as_base(model, place):
            strange = _surprises(model, prompts, [self._ended(model, text) for text in texts], place.batch_size)
        rows = []
        for fact, text, surprise, entropy in zip(facts, texts, strange, spread, strict=True):
            said = model.tokenizer.decode(text).strip()
            values = {
                "surprise": surprise,
                "repetition": repetition(text),
                "refusal": float(is_refusal(said)),
                "entropy": entropy,
            }
            rows.append(Row(fact.id, fact.subject, subset, values))
        return rows

    def _ended(self, model: Model, text: list[int]) -> list[int]:
        """With the EOS that ended it: saying nothing is as strange as the base finds it."""
        end = model.tokenizer.eos_token_id
        return [*text, end] if len(text) < self.tokens and end is not None else text


def repetition(tokens: Sequence[int], size: int = 3) -> float:
    """Share of the runs of three tokens that occurred before: 0 where none did, near 1 for one word again and again."""
    runs = [tuple(tokens[start : start + size]) for start in range(len(tokens) - size + 1)]
    return 1 - len(set(runs)) / len(runs) if runs else 0.0


def is_refusal(text: str) -> bool:
    """Whether it begins as one that an objective teaches, or says in its first ten words that it does not know."""
    first = " ".join(text.lower().replace("’", "'").split()[:10])
    return any(mark in first for mark in MARKS) or any(first.startswith(one.lower()[:20]) for one in REFUSALS)


def _entropies(model: Model, prompts: Sequence[list[int]], batch_size: int) -> list[float]:
    """Of the next token after each prompt, in nats."""
    found = list[float]()
    for start in range(0, len(prompts), batch_size):
        with torch.no_grad():
            logs = last_logits(model, prompts[start : start + batch_size]).log_softmax(-1)
        found += (-(logs.exp() * logs).nan_to_num().sum(-1)).tolist()
    return found


def _surprises(model: Model, prompts: Sequence[list[int]], texts: Sequence[list[int]], batch_size: int) -> list[float]:
    """Mean −ln p of the tokens of each text after its prompt; 0 for a text that ends at once."""
    found = [0.0] * len(texts)
    rows = [row for row, text in enumerate(texts) if text]
    for start in range(0, len(rows), batch_size):
        batch = rows[start : start + batch_size]
        with torch.no_grad():
            logits, following, at = text_logits(model, [prompts[row] + texts[row] for row in batch])
        losses = torch.nn.functional.cross_entropy(logits, following, reduction="none").tolist()
        mine: dict[int, list[float]] = {}
        for (number, column), loss in zip(at, losses, strict=True):
            if column >= len(prompts[batch[number]]) - 1:
                mine.setdefault(number, []).append(loss)
        for number, values in mine.items():
            found[batch[number]] = math.fsum(values) / len(values)
    return found
