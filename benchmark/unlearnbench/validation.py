"""Is what will be asked fit to be asked? Checks on the rendered items, not on names."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from unlearnbench.errors import UsageError
from unlearnbench.mentions import stands_in
from unlearnbench.model import Model
from unlearnbench.rendering import Item
from unlearnbench.scoring import refuse_indistinguishable
from unlearnbench.split import Split
from unlearnbench.task import Row, Task

UNFILLED = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{[a-z_]*\}")


class Problem(NamedTuple):
    """Something that would spoil a score."""

    where: str
    what: str


def problems_of_split(model: Model, label: str, split: Split) -> Iterator[Problem]:
    """Test items that are trained on, facts without their forms, answers that cannot be told apart."""
    trained = {fact.prompt: fact for fact in (*split.maintain_train, *split.maintain_dev)}
    for part in ("relearn", "held_out", "maintain_test", "never_known"):
        for fact in split.facts(part):
            asked_beside = fact.neighbors if part in ("relearn", "held_out") else ()  # no task asks others' neighbours
            for prompt in (fact.prompt, *fact.paraphrases, *asked_beside):
                if prompt in trained:
                    yield Problem(f"{label} {fact.id}", f"the {part} item {prompt!r} is in maintain-train or -dev")
            for prompt in (fact.prompt, *fact.paraphrases):
                if stands_in(prompt, fact.answer):
                    yield Problem(f"{label} {fact.id}", f"the answer {fact.answer!r} is visible in {prompt!r}")
    try:
        refuse_indistinguishable(model, [*split.forget, *split.maintain_train, *split.maintain_test])
    except UsageError as error:
        yield Problem(label, str(error))


def problems_of_task(model: Model, name: str, task: Task, split: Split, items: Sequence[Item]) -> Iterator[Problem]:
    """Empty parts, templates that were not filled, spaces and BOS tokens that double, answers alike."""
    found = {item.row.part for item in items}
    if not items:
        yield Problem(name, "it has no items at all")
    for part in dict.fromkeys(metric.part for metric in task.metrics(split)):
        if part not in found and not task.beside:  # of side effects only some questions are rendered
            yield Problem(name, f"it has no items in {part!r}, which its metrics need")
    for item in items:
        where = f"{name} {item.row.item}"
        for rendered in item.rendered[:1]:
            prompt = rendered.prompt
            if not prompt.strip():
                yield Problem(where, "its prompt is empty")
            if prompt != prompt.rstrip():
                yield Problem(where, f"its prompt ends in white space, which belongs to the answer: {prompt[-20:]!r}")
            if unfilled := UNFILLED.search(prompt):
                yield Problem(where, f"its template was not filled: {unfilled[0]!r} stands in the prompt")
            yield from _shown(where, item.row, prompt)
            yield from _bos(model, where, rendered.prompt_ids)
        ids = {rendered.continuation: rendered.continuation_ids for rendered in item.rendered}
        for first, mine in ids.items():
            for second, other in ids.items():
                if first != second and other[: len(mine)] == mine:
                    yield Problem(where, f"the tokenizer cannot tell the answer {first!r} from {second!r}")


def _shown(where: str, row: Row, prompt: str) -> Iterator[Problem]:
    """An answer that stands in its prompt, unless all choices do, as in multiple choice."""
    visible = [choice for choice in row.choices if stands_in(prompt, choice)]
    answer = row.choices[row.gold] if row.choices else None
    if answer in visible and len(visible) < len(row.choices):
        yield Problem(where, f"the answer {answer!r} is visible in its prompt, and not all others are")


def _bos(model: Model, where: str, ids: Sequence[int]) -> Iterator[Problem]:
    bos = model.tokenizer.bos_token_id
    wanted = int(bos is not None and model.tokenizer("a").input_ids[:1] == [bos])
    leading = next((i for i, token in enumerate(ids) if token != bos), len(ids)) if bos is not None else 0
    if leading > 1 or (leading < wanted and not model.chat):
        yield Problem(where, f"its prompt begins with {leading} BOS tokens; this tokenizer puts {wanted}")
