"""And when it writes freely? Greedy text, searched for the answer, and its fluency."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from unlearnbench.facts import Fact
from unlearnbench.generating import greedy
from unlearnbench.hashing import text_hash
from unlearnbench.mentions import stands_in
from unlearnbench.model import Model
from unlearnbench.registry import register
from unlearnbench.split import Split
from unlearnbench.task import Examination, Metric, Row, Task, unchosen


@register("generation")
@dataclass(frozen=True, kw_only=True)
class Generation(Task):
    """The trained prompt and free openings about the subject, continued greedily."""

    new_tokens: Annotated[int, Field(ge=1)] = 32
    """Length of each continuation; ROME's fluency was measured on 100."""

    version: ClassVar[int] = 1
    primary: ClassVar[str] = "contains"

    def metrics(self, split: Split) -> Sequence[Metric]:
        """The answer in the text (`contains`, `rouge_recall`), the edit's answer, and fluency in bits.

        `maintain_…` are the same of facts to keep. A text that says the same word again and again has
        an entropy near 0; a fluent one lies near that of the base model.
        """
        return [
            Metric("contains", "contains", "forget", "forget", "min"),
            Metric("rouge_recall", "rouge_recall", "forget", "forget", "min"),
            Metric("contains_edit", "contains_edit", "forget", "forget", "max"),
            Metric("fluency", "fluency", "forget", "general", "max"),
            Metric("maintain_contains", "contains", "maintain", "retain", "max"),
            Metric("maintain_fluency", "fluency", "maintain", "general", "max"),
        ]

    def rows(self, model: Model, place: Examination) -> list[Row]:
        """One row per fact and prompt."""
        parts = {"forget": place.split.forget, "maintain": place.split.maintain_test}
        items = [(part, f, i, p) for part, facts in parts.items() for f in facts for i, p in enumerate(_prompts(f))]
        texts = greedy(model, [prompt for *_, prompt in items], self.new_tokens, place.batch_size)
        return [_row(part, f, i, prompt, text) for (part, f, i, prompt), text in zip(items, texts, strict=True)]


def _prompts(fact: Fact) -> tuple[str, ...]:
    return (fact.prompt, *fact.openings)


def _row(part: str, fact: Fact, number: int, prompt: str, text: str) -> Row:
    values = {
        "contains": float(stands_in(text, fact.answer)),
        "rouge_recall": rouge_recall(text, fact.answer),
        "fluency": fluency(text),
    }
    if fact.edit_target is not None:
        values["contains_edit"] = float(stands_in(text, fact.edit_target))
    return unchosen(f"{fact.id}#opening-{number}", fact.subject, part, text_hash(prompt), values, text)


def rouge_recall(text: str, answer: str) -> float:
    """ROUGE-L recall of the answer's words in the text, between 0 and 1 (RWKU's measure of recall)."""
    from rouge_score.rouge_scorer import RougeScorer

    return float(RougeScorer(["rougeL"]).score(answer, text)["rougeL"].recall)


def fluency(text: str) -> float:
    """Weighted entropy of word bigrams and trigrams in bits (Meng et al. 2022, "GE"), on whole words and marks.

    The arithmetic mean of 2/3 times the bigrams' entropy and 4/3 times the trigrams'.
    """
    words = re.findall(r"\w+|[^\w\s]", text)
    return (2 / 3 * _entropy(words, 2) + 4 / 3 * _entropy(words, 3)) / 2


def _entropy(words: Sequence[str], size: int) -> float:
    counts = Counter(zip(*(words[i:] for i in range(size)), strict=False))
    total = counts.total()
    return -math.fsum(n / total * math.log2(n / total) for n in counts.values()) + 0.0
