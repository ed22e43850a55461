"""How fast are facts scored, beside lm-eval's own `HFLM`? `python tests/performance/scoring.py`

Both score the same (prompt, choice) pairs on the embedded model in one process, in turn, and must find
the same log-probabilities. Only the ratio is worth quoting: absolute times depend on the machine. Ours
keeps the tokens of prompts that it has seen, as it does when many edits of one model are scored; the
first of the rounds, in which it has seen none, is one of those that the median is taken over.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

from tabulate import tabulate

from unlearnbench.facts import Fact
from unlearnbench.layouts import labels, multiple_choice
from unlearnbench.model.loading import load
from unlearnbench.model.scoring import Asked, score
from unlearnbench.model.source import locate
from unlearnbench.running.threads import using_threads
from unlearnbench.running.words import parse_facts

ROUNDS = 5
BATCH = 64


def asked_of(facts: list[Fact]) -> dict[str, list[Asked]]:
    """Short prompts with five choices, and multiple-choice prompts with four letters and four texts."""
    options = [(fact, fact.options, labels("inline", 4)) for fact in facts if fact.question]
    letters = [Asked(multiple_choice(f.question or "", o, "inline"), (*marks, *o)) for f, o, marks in options]
    return {
        "cloze, 5 choices": [Asked(f.prompt, f.choices) for f in facts],
        "multiple choice, 4 letters and 4 texts": letters,
    }


def timed(work: Callable[[], object]) -> float:
    """Seconds of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def compare() -> list[dict[str, Any]]:
    """On one thread, as small models run."""
    with using_threads(1):
        return _compared()


def _compared() -> list[dict[str, Any]]:
    """Seconds of both, their ratio (median over rounds in turn), and how far their log-probabilities differ."""
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    model = load(locate("tiny", {}, None))
    split = parse_facts("sports").split(0)
    theirs = HFLM(pretrained=model.network, tokenizer=model.tokenizer, batch_size=BATCH, add_bos_token=True)
    lines = []
    for name, asked in asked_of([*split.forget, *split.maintain_train]).items():
        pairs = [(question.prompt, f" {choice}") for question in asked for choice in question.choices]
        requests = [Instance("loglikelihood", {}, pair, i) for i, pair in enumerate(pairs)]
        ours_s, theirs_s = [], []
        for _ in range(ROUNDS):
            ours_s.append(timed(lambda asked=asked: score(model, asked, BATCH)))  # type: ignore[misc]
            theirs_s.append(timed(lambda r=requests: theirs.loglikelihood(r, disable_tqdm=True)))  # type: ignore[misc]
        mine = [value for found in score(model, asked, BATCH) for value in found.logprobs]
        found = theirs.loglikelihood(requests, disable_tqdm=True)
        lines.append(
            {
                "prompts": name,
                "pairs": len(pairs),
                "ours, s": statistics.median(ours_s),
                "HFLM, s": statistics.median(theirs_s),
                "HFLM / ours": statistics.median(t / o for t, o in zip(theirs_s, ours_s, strict=True)),
                "largest gap, nats": max(abs(value - own) for (value, _), own in zip(found, mine, strict=True)),
            }
        )
    return lines


if __name__ == "__main__":
    print(tabulate(compare(), headers="keys", floatfmt=(".0f", ".0f", ".3f", ".3f", ".1f", ".1e")))
