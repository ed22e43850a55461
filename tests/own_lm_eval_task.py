"""A task of lm-eval's kind such as a user writes: a YAML file and the function that loads its data."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lm_eval.api.instance import Instance

NAMES = ("Ann Lee", "Bo Rodgers", "Cy Young", "Di Dorn")
GAMES = ("football", "ice hockey", "golf")
TASK = """
task: {name}
custom_dataset: !function data.load
test_split: test
output_type: multiple_choice
doc_to_text: "Fact: {{{{name}}}} plays the sport of"
doc_to_choice: [{games}]
doc_to_target: label
metric_list: [{metrics}]
"""
DATA = """
import datasets

def load(**_):
    return {{"test": datasets.Dataset.from_list([{{"name": n, "label": i % 3}} for i, n in enumerate({names})])}}
"""


def write_own_task(folder: Path, name: str, metrics: Sequence[str] = ("acc",), names: Sequence[str] = NAMES) -> None:
    """Write a task that asks of each name which of three games is played; the first plays the first, and so on."""
    folder.mkdir(exist_ok=True)
    listed = ", ".join(f"{{metric: {metric}}}" for metric in metrics)
    (folder / f"{name}.yaml").write_text(TASK.format(name=name, games=", ".join(GAMES), metrics=listed))
    (folder / "data.py").write_text(DATA.format(names=list(names)))


def request(kind: str, arguments: Any, number: int = 0) -> Instance:
    """A request such as lm-eval's tasks make, in every version of lm-eval."""
    named = {} if version("lm-eval") < "0.5" else {"task_name": "test", "doc_id": number}
    return Instance(request_type=kind, doc={}, arguments=arguments, idx=number, metadata=("test", number, 1), **named)
