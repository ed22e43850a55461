"""Items as the model gets them: text and token ids, to be looked at before anything is run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from unlearnbench.model.reading import encode, framed, prompt_tokens

if TYPE_CHECKING:
    from unlearnbench.asking.questions import Question
    from unlearnbench.model.model import Model


class Item(NamedTuple):
    """One thing that is asked."""

    name: str
    subset: str
    """What its row belongs to."""
    prompt: str
    """As the model sees it: within the chat template, if it is asked in one."""
    prompt_ids: list[int]
    choices: tuple[str, ...]
    """Empty where the prompt is continued freely."""
    choice_ids: list[list[int]]
    gold: int | None
    """Which choice is right."""


def rendered(model: Model, questions: Sequence[Question], count: int) -> list[Item]:
    """The first `count` questions of each subset."""
    seen, found = Counter[str](), list[Item]()
    for one in questions:
        seen[one.subset] += 1
        if seen[one.subset] <= count:
            pairs = [encode(model, one.asked.prompt, choice) for choice in one.asked.choices]
            gold = one.asked.choices.index(one.gold)
            ids = [after for _, after in pairs]
            prompt = framed(model, one.asked.prompt)
            found.append(Item(one.item, one.subset, prompt, pairs[0][0], one.asked.choices, ids, gold))
    return found


def continued_freely(model: Model, prompts: Mapping[str, str], subset: str) -> list[Item]:
    """Prompts without given answers, by the names of their items."""
    return [
        Item(name, subset, framed(model, text), prompt_tokens(model, text), (), [], None)
        for name, text in prompts.items()
    ]


def documents(model: Model, tasks: Mapping[str, Any], places: Mapping[str, Sequence[int]], subset: str) -> list[Item]:
    """Documents of lm-eval's tasks, as lm-eval puts them."""
    from unlearnbench.lm_eval_bridge.listening import heard

    return [
        Item(one.name, subset, one.context, one.context_ids, one.continuations, one.continuation_ids, one.gold)
        for one in heard(model, tasks, places)
    ]
