"""`unlearnbench preview`: the exact prompt and token ids of items, as the model gets them."""

import argparse
from typing import TYPE_CHECKING, Any

from unlearnbench.cli.asked import add_asked, asked

if TYPE_CHECKING:
    from unlearnbench.asking.items import Item
    from unlearnbench.model.model import Model


def add_to(verbs: Any) -> None:
    """Declare the verb and its options."""
    verb = verbs.add_parser("preview", help="show the exact prompt and token ids of items")
    add_asked(verb, 1)
    verb.set_defaults(perform=perform)


def perform(chosen: argparse.Namespace) -> int:
    """Print every item: its prompt, which a bar ends, its tokens, and each choice with its tokens."""
    for one in asked(chosen):
        for name, task in one.tasks.items():
            for item in task.items(one.model, one.split, chosen.items):
                _print(name, item, one.model)
    return 0


def _print(task: str, item: "Item", model: "Model") -> None:
    pieces = model.tokenizer.convert_ids_to_tokens
    print(f"── {task} · {item.subset} · {item.name}")
    print(f"{item.prompt}▏")
    print(f"  ids    {item.prompt_ids}")
    print(f"  tokens {pieces(item.prompt_ids)}")
    for number, (choice, ids) in enumerate(zip(item.choices, item.choice_ids, strict=True)):
        print(f"  {'✓' if number == item.gold else ' '} {choice!r} {ids} {pieces(ids)}")
    if not item.choices:
        print("  continued freely")
