"""What lm-eval measures of a document, as numbers that can be averaged."""

import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from unlearnbench.errors import UsageError
from unlearnbench.lm_eval_bridge.evaluating import DocumentRow

WEIGHT = "_weight"
"""What the weight of a metric's value is called: the words of `word_perplexity`."""
EXPONENTS = {"word_perplexity": "nats_per_word", "byte_perplexity": "nats_per_byte", "bits_per_byte": "bits_per_byte"}
"""How metrics are called that lm-eval takes from (log-likelihood, size) pairs; ours are means, weighted by size."""
PERPLEXITY, NATS = "perplexity", "nats"
"""lm-eval's exponential of minus the mean log-likelihood of an answer; ours is the exponent."""
MEANS = ("mean", "nanmean")
"""lm-eval's aggregations that are means. F1, Matthews' correlation, BLEU and the like are of no single document."""


class Measured(NamedTuple):
    """One metric of lm-eval, as a mean over documents."""

    key: str
    better: Literal["min", "max"]
    weight: str | None
    """The key of each document's weight, or None where all count alike."""


def measured(tasks: Mapping[str, Any]) -> list[Measured]:
    """What lm-eval measures in these tasks, of every filter; the first task's first metric comes first.

    Left out is what is no mean over documents. Raises `UsageError` where nothing else is measured.
    """
    found = dict[str, Measured]()
    for task in tasks.values():
        better = task.higher_is_better()
        for metric, aggregate in task.aggregation().items():
            weighted = metric in EXPONENTS
            if not weighted and metric != PERPLEXITY and getattr(aggregate, "__name__", "") not in MEANS:
                continue
            higher = better.get(metric) is not False and _key(metric) == metric  # None where nothing is said
            for one in task._filters:
                key = _filtered(_key(metric), one.name)
                weight = _filtered(_key(metric) + WEIGHT, one.name) if weighted else None
                found.setdefault(key, Measured(key, "max" if higher else "min", weight))
    if not found:
        names = sorted({metric for task in tasks.values() for metric in task.aggregation()})
        raise UsageError(
            f"{', '.join(tasks)}: what lm-eval measures there ({', '.join(names)}) is no mean over documents",
            "take a task that has acc, acc_norm, exact_match or a perplexity",
        )
    return list(found.values())


def values_of(document: DocumentRow) -> dict[str, float]:
    """The values of one document, by `Measured.key`, and their weights."""
    found = dict[str, float]()
    for name, value in document.metrics.items():
        if isinstance(value, float) and not math.isfinite(value):
            continue  # `nanmean` leaves it out
        if isinstance(value, float):
            found[_filtered(_key(name), document.filter)] = -value if name == PERPLEXITY else value
        elif name in EXPONENTS and value[1]:  # not (gold, prediction), nor an empty text
            total, size = value
            unit = math.log(2) if name == "bits_per_byte" else 1.0
            found[_filtered(EXPONENTS[name], document.filter)] = -total / (unit * size)
            found[_filtered(EXPONENTS[name] + WEIGHT, document.filter)] = size
    return found


def _key(metric: str) -> str:
    return NATS if metric == PERPLEXITY else EXPONENTS.get(metric, metric)


def _filtered(key: str, filter_name: str) -> str:
    """As lm-eval writes it, where a filter has a name of its own: `exact_match,strict-match`."""
    return key if filter_name == "none" else f"{key},{filter_name}"
