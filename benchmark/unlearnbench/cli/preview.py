"""`unlearnbench preview`: the exact prompt text and token ids of items, as the model gets them."""

import argparse
from pathlib import Path
from typing import Any

from unlearnbench.cli.asking import add_asked, asked


def add_to(verbs: Any) -> None:
    """Declare the verb and its options."""
    verb = verbs.add_parser("preview", help="show the exact prompt text and token ids of items")
    add_asked(verb)
    verb.add_argument("--items", type=int, default=1, help="facts of each part that are shown (default 1)")
    verb.add_argument("--include", type=Path, action="append", help="folder with your own methods, tasks or facts")
    verb.set_defaults(perform=perform)


def perform(chosen: argparse.Namespace) -> int:
    """Print every item: its prompt between bars, its tokens, and each choice with its tokens."""
    from unlearnbench.rendering import render

    for one in asked(chosen):
        model, retain = one.runner.model, one.runner.retain
        for name, task in one.tasks.items():
            for item in render(model, name, task, one.split, retain, chosen.items):
                print(f"── {name} · {item.row.part} · {item.row.item}")
                if not item.rendered:
                    print("(a text that is only read)")
                    continue
                first = item.rendered[0]
                # To a task of lm-eval's the chat template was applied by lm-eval.
                print(f"{first.prompt if task.beside else model.text_of(first.prompt)}▏")
                print(f"  ids    {first.prompt_ids}")
                print(f"  tokens {model.tokenizer.convert_ids_to_tokens(first.prompt_ids)}")
                if item.row.text is not None:
                    print(f"  wrote  {item.row.text!r}")
                    continue
                for i, choice in enumerate(item.rendered):
                    mark = "✓" if i == item.row.gold else " "
                    pieces = model.tokenizer.convert_ids_to_tokens(choice.continuation_ids)
                    print(f"  {mark} {choice.continuation!r} {choice.continuation_ids} {pieces}")
    return 0
