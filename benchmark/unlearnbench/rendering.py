"""What a task really asks: the exact text and token ids of its items, as the model gets them."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import fields, replace
from typing import Any, NamedTuple

from unlearnbench.hashing import text_hash
from unlearnbench.model import Model, Rendered
from unlearnbench.retain import RetainText
from unlearnbench.split import Split
from unlearnbench.task import Examination, Row, Task

BATCH = 8


class Item(NamedTuple):
    """One row of a task, and how it was put to the model."""

    task: str
    row: Row
    rendered: Sequence[Rendered]
    """One for each choice, or one for a prompt that is continued freely; empty for a text that is only read."""


def render(model: Model, name: str, task: Task, split: Split, retain: RetainText, count: int) -> list[Item]:
    """Ask the task about the first `count` facts of every part, or a side effect `count` of its questions.

    What passes to the model is noted.
    """
    texts = RetainText(retain.train, retain.test[:count])
    fewer: dict[str, Any] = {"limit": count} if "limit" in {field.name for field in fields(task)} else {}
    with model.listening() as heard:
        rows = replace(task, **fewer).rows(model, Examination(split.shortened(count), BATCH, texts, nullcontext))
    by_prompt: dict[str, list[Rendered]] = {}
    for rendered in heard:
        by_prompt.setdefault(text_hash(rendered.prompt), []).append(rendered)
    return [Item(name, row, _choices(row, by_prompt.get(row.prompt_sha256, []))) for row in rows]


def _choices(row: Row, heard: Sequence[Rendered]) -> list[Rendered]:
    by_text = {rendered.continuation: rendered for rendered in heard}
    return [by_text[choice] for choice in row.choices if choice in by_text] if row.choices else list(by_text.values())
