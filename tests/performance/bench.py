"""All speed figures, as ratios, into `ratios.json` beside this file: `make bench`, or some: `bench.py training`.

A ratio compares two ways of doing the same on the same machine in one run; absolute times are not kept.
"""

import json
import os
import platform
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import boards
import inner_loop
import lm_eval_scorer
import localizing
import scoring
import threads
import training

RATIOS = Path(__file__).with_name("ratios.json")
Ratios = dict[str, float]


def _scoring() -> Ratios:
    return {f"HFLM / ours, {line['prompts']}": line["HFLM / ours"] for line in scoring.compare()}


def _lm_eval() -> Ratios:
    return {
        f"simple_evaluate / {line['way']}, vocabulary {line['vocabulary']}": line["simple_evaluate"]
        for line in lm_eval_scorer.compare()
        if line["way"] != lm_eval_scorer.THEIRS
    }


def _threads() -> Ratios:
    return {f"2 threads / 1 thread, {line['machine']}": line["2 threads / 1 thread"] for line in threads.compare()}


def _localizing() -> Ratios:
    return _columns(
        localizing.compare(),
        ("exact", "TransformerLens"),
        lambda line: f"attribution patching, {line['model']}, {line['components']} components, {line['facts']} facts",
    )


def _training() -> Ratios:
    ways = ("masked", "plain", "peft and Trainer")
    return _columns(training.compare(), ways, lambda line: f"training the upper half, {line['model']}")


def _inner_loop() -> Ratios:
    ways = ("from the embeddings", "by hand")
    return _columns(inner_loop.compare(), ways, lambda line: f"latent adversary, {line['model']}")


def _boards() -> Ratios:
    found = {line["way"]: line["in a second"] for line in boards.compare(540)}
    ways = ("read and recomputed", "plain JSON, unchecked", "records alone, schema checked")
    return {f"{way} / the index, a run of a board": found["by the index"] / found[way] for way in ways}


PARTS: dict[str, Callable[[], Ratios]] = {
    "scoring": _scoring,
    "lm_eval": _lm_eval,
    "threads": _threads,
    "localizing": _localizing,
    "training": _training,
    "inner_loop": _inner_loop,
    "boards": _boards,
}


def _columns(lines: list[dict[str, Any]], ways: tuple[str, ...], what: Callable[[dict[str, Any]], str]) -> Ratios:
    """The ratios of each line; those of libraries that are not installed are left out."""
    shown = [(f"{way} / ours, {what(line)}", line[f"{way} / ours"]) for line in lines for way in ways]
    return {name: ratio for name, ratio in shown if ratio is not None}


def measured(parts: list[str]) -> dict[str, Any]:
    """The ratios of these parts, those that are kept of the others, and on what they were measured."""
    kept: Ratios = json.loads(RATIOS.read_text(encoding="utf-8"))["ratios"] if len(parts) < len(PARTS) else {}
    fresh = {name: round(ratio, 2) for part in parts for name, ratio in PARTS[part]().items()}
    return {
        "ratios": {**kept, **fresh},
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "torch": version("torch").split("+")[0],
        "transformers": version("transformers"),
    }


if __name__ == "__main__":
    found = measured(sys.argv[1:] or list(PARTS))
    RATIOS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(RATIOS.read_text(encoding="utf-8"))
