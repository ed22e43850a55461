"""Is what will be asked fit to be asked? Checks on the items as they are put, not on names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from unlearnbench.asking.items import Item
from unlearnbench.asking.task import Task
from unlearnbench.errors import UsageError
from unlearnbench.facts import SUBSETS, Split
from unlearnbench.mentions import stands_in
from unlearnbench.model.reading import tokens_of
from unlearnbench.model.scoring import refuse_indistinguishable

if TYPE_CHECKING:
    from unlearnbench.model.model import Model

UNFILLED = re.compile(r"\{\{.*?\}\}|\{%.*?%\}")
UNFORMATTED = re.compile(r"\{[a-z_]*\}")
"""In our own wordings; in a task of lm-eval's this may be a formula."""
TRAINED = ("maintain_train", "maintain_dev")


class Problem(NamedTuple):
    """Something that would spoil a score."""

    where: str
    what: str


def problems_of_split(model: Model, label: str, split: Split) -> Iterator[Problem]:
    """Test items that are trained on, answers that are visible or cannot be told apart."""
    trained = {fact.prompt for subset in TRAINED for fact in split.facts(subset)}  # type: ignore[arg-type]
    for subset in SUBSETS:
        if subset in TRAINED:
            continue
        for fact in split.facts(subset):
            where = f"{label} {fact.id}"
            # Of facts to keep, no task asks the neighbours.
            beside = fact.neighbours if subset.startswith("relearn") else ()
            for prompt in (fact.prompt, *fact.paraphrases, *beside):
                if prompt in trained:
                    yield Problem(where, f"the {subset} item {prompt!r} is in maintain-train or -dev")
            for prompt in (fact.prompt, *fact.paraphrases):
                if stands_in(prompt, fact.answer):
                    yield Problem(where, f"the answer {fact.answer!r} is visible in {prompt!r}")
    try:
        refuse_indistinguishable(model, [*split.forget, *split.maintain_train, *split.maintain_test])
    except UsageError as error:
        yield Problem(label, str(error))


def problems_of_task(model: Model, name: str, task: Task, split: Split, items: Sequence[Item]) -> Iterator[Problem]:
    """Subsets without items, templates that were not filled, spaces and BOS tokens too many, answers alike."""
    there = {item.subset for item in items}
    for subset in dict.fromkeys(metric.subset for metric in task.metrics(split)):
        if items and subset not in there and not any(subset.startswith(f"{one}_") for one in there):
            yield Problem(name, f"it has no items in {subset!r}, which its metrics need")
    for item in items:
        where = f"{name} {item.name}"
        yield from (Problem(where, what) for what in _of_prompt(item, model.chat, ours=task.about_facts))
        yield from (Problem(where, what) for what in _of_tokens(model, item))


def _of_prompt(item: Item, chat: bool, *, ours: bool) -> Iterator[str]:
    """What is wrong with the text. A task of lm-eval's may have no prompt, and its passages say what they say."""
    prompt = item.prompt
    if unfilled := UNFILLED.search(prompt) or (UNFORMATTED.search(prompt) if ours else None):
        yield f"its template was not filled: {unfilled[0]!r} stands in the prompt"
    if not ours:
        return
    if not prompt.strip():
        yield "its prompt is empty"
    if prompt != prompt.rstrip() and item.choices and not chat:  # how a turn begins, the template says
        yield f"its prompt ends in white space, which belongs to the answer: {prompt[-20:]!r}"
    visible = [choice for choice in item.choices if choice.strip() and stands_in(prompt, choice.strip())]
    answer = item.choices[item.gold] if item.gold is not None else None
    if answer in visible and len(visible) < len(item.choices):  # in multiple choice all are
        yield f"the answer {answer!r} is visible in its prompt, and not all others are"


def _of_tokens(model: Model, item: Item) -> Iterator[str]:
    bos = model.tokenizer.bos_token_id
    wanted = int(bos is not None and tokens_of(model, "a")[:1] == [bos])
    leading = next((i for i, token in enumerate(item.prompt_ids) if token != bos), len(item.prompt_ids))
    if bos is not None and leading > 1:
        yield f"its prompt begins with {leading} BOS tokens; this tokenizer puts {wanted}"
    for first, mine in zip(item.choices, item.choice_ids, strict=True):
        for second, other in zip(item.choices, item.choice_ids, strict=True):
            if first != second and other[: len(mine)] == mine:
                yield f"the tokenizer cannot tell the answer {first!r} from {second!r}"
