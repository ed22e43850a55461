"""And when it writes freely? Greedy text, searched for the answer, and how much it repeats itself."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from unlearnbench.asking.items import Item, continued_freely
from unlearnbench.asking.place import AskingPlace
from unlearnbench.asking.row import Metric, Row
from unlearnbench.asking.task import Battery, Task
from unlearnbench.facts import Fact, Split
from unlearnbench.hashing import text_hash
from unlearnbench.mentions import stands_in
from unlearnbench.model.generating import continued
from unlearnbench.model.model import Model
from unlearnbench.model.reading import prompt_tokens
from unlearnbench.registry import register


@register("generation")
@dataclass(frozen=True, kw_only=True)
class Generation(Task):
    """The trained prompt and free openings about the subject, continued greedily."""

    tokens: Annotated[int, Field(ge=1)] = 32
    """Length of each continuation; ROME's fluency was measured on 100."""

    version: ClassVar[int] = 1
    primary: ClassVar[str] = "contains"
    order: ClassVar[int] = 35
    battery: ClassVar[Battery] = "quick"

    def metrics(self, split: Split) -> Sequence[Metric]:
        """The answer in the text (`contains`, `rouge_recall`), the edit target in it, and entropy in bits.

        `maintain_…` are the same of facts to keep. A text that says the same word again and again has an entropy near
        0; a fluent one lies near that of the base.
        """
        found = [
            Metric("contains", "contains", "forget", "forget", "oracle"),
            Metric("rouge_recall", "rouge_recall", "forget", "forget", "oracle"),
            Metric("entropy", "entropy", "forget", "general", "oracle"),
            Metric("maintain_contains", "contains", "maintain", "retain", "max"),
            Metric("maintain_rouge_recall", "rouge_recall", "maintain", "retain", "max"),
            Metric("maintain_entropy", "entropy", "maintain", "general", "oracle"),
        ]
        if any(fact.edit_target for fact in split.forget):
            found.append(Metric("contains_edit", "contains_edit", "forget", "forget", "max"))
        return found

    def items(self, model: Model, split: Split, count: int) -> list[Item]:
        """Prompts that are continued freely."""
        found = list[Item]()
        for subset in ("forget", "maintain"):
            prompts = {f"{f.id}#{number}": prompt for part, f, number, prompt in _prompts(split) if part == subset}
            found += continued_freely(model, dict(list(prompts.items())[:count]), subset)
        return found

    def rows(self, model: Model, split: Split, place: AskingPlace) -> list[Row]:
        """One row per fact and prompt; a fact's own prompt is the first."""
        items = _prompts(split)
        prompts = [prompt_tokens(model, prompt) for *_, prompt in items]
        texts = continued(model, prompts, self.tokens, place.batch_size)
        return [
            _row(part, fact, number, prompt, model.tokenizer.decode(text))
            for (part, fact, number, prompt), text in zip(items, texts, strict=True)
        ]


def _prompts(split: Split) -> list[tuple[str, Fact, int, str]]:
    parts = {"forget": split.forget, "maintain": split.maintain_test}
    return [
        (part, fact, number, prompt)
        for part, facts in parts.items()
        for fact in facts
        for number, prompt in enumerate((fact.prompt, *fact.openings))
    ]


def _row(part: str, fact: Fact, number: int, prompt: str, text: str) -> Row:
    values = {
        "contains": float(stands_in(text, fact.answer)),
        "rouge_recall": rouge_recall(text, fact.answer),
        "entropy": entropy(text),
    }
    if fact.edit_target is not None:
        values["contains_edit"] = float(stands_in(text, fact.edit_target))
    return Row(f"{fact.id}#opening-{number}", fact.subject, part, values, prompt_sha256=text_hash(prompt))


def rouge_recall(text: str, answer: str) -> float:
    """ROUGE-L recall of the answer's words in the text, between 0 and 1 (as RWKU measures knowledge)."""
    from rouge_score.rouge_scorer import RougeScorer

    return float(RougeScorer(["rougeL"]).score(answer, text)["rougeL"].recall)


def entropy(text: str) -> float:
    """Weighted entropy of word bigrams and trigrams in bits (Meng et al. 2022, "GE"), on whole words and marks.

    The arithmetic mean of 2/3 times the bigrams' entropy and 4/3 times the trigrams'.
    """
    words = re.findall(r"\w+|[^\w\s]", text)
    return (2 / 3 * _of_runs(words, 2) + 4 / 3 * _of_runs(words, 3)) / 2


def _of_runs(words: Sequence[str], size: int) -> float:
    counts = Counter(zip(*(words[i:] for i in range(size)), strict=False))
    total = counts.total()
    return -math.fsum(n / total * math.log2(n / total) for n in counts.values()) + 0.0
