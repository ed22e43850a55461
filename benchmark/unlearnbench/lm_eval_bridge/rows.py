"""From lm-eval's documents to the rows of our item log."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from unlearnbench.errors import UsageError
from unlearnbench.lm_eval_bridge.evaluating import DocumentRow
from unlearnbench.task import Metric, Row, unchosen

WEIGHT = "_weight"
"""What the weight of a metric's value is called: the words of `word_perplexity`."""
EXPONENTS = {"word_perplexity": "nats_per_word", "byte_perplexity": "nats_per_byte", "bits_per_byte": "bits_per_byte"}
"""How metrics are called that lm-eval takes from (log-likelihood, size) pairs; ours are means, weighted by size."""
PERPLEXITY, NATS = "perplexity", "nats"
"""lm-eval's exponential of minus the mean log-likelihood of an answer; ours is the exponent."""
MEANS = ("mean", "nanmean")
"""lm-eval's aggregations that are means. F1, Matthews' correlation, BLEU and the like are of no single document."""


def choice_row(document: DocumentRow, part: str, choices: tuple[str, ...]) -> Row:
    """A document with given choices, of which `target` is the index of the right one."""
    logprobs, gold = tuple(value for value, _ in document.answers), int(document.target)
    best, second = sorted(logprobs, reverse=True)[:2]
    values = {"accuracy": _number(document, "acc"), "p_true": math.exp(logprobs[gold]), "tie": float(best == second)}
    return Row(
        item=f"{part}#{document.doc_id}",
        cluster=f"{part}#{document.doc_id}",
        part=part,
        prompt_sha256=f"sha256:{document.prompt_hash}",
        choices=choices,
        gold=gold,
        logprobs=logprobs,
        decision=logprobs.index(best),
        margin=best - second,
        values=values,
    )


def metric_rows(documents: Iterable[DocumentRow], part: str) -> list[Row]:
    """Documents of any task, with the values of lm-eval's own metrics."""
    rows = []
    for document in documents:
        item = f"{part}#{document.doc_id}" + ("" if document.filter == "none" else f"#{document.filter}")
        values = {
            _filtered(key, document.filter): value
            for name in document.metrics
            for key, value in _values(document, name).items()
        }
        rows.append(unchosen(item, f"{part}#{document.doc_id}", part, f"sha256:{document.prompt_hash}", values))
    return rows


def metrics_of(tasks: Mapping[str, Any]) -> list[Metric]:
    """What lm-eval measures in these tasks, of every filter; perplexities become means, weighted by size.

    Left out is what is no mean over documents. Raises `UsageError` where nothing else is measured.
    """
    found = []
    for name, task in tasks.items():
        better = task.higher_is_better()
        for metric, aggregate in task.aggregation().items():
            weighted = metric in EXPONENTS
            if not weighted and metric != PERPLEXITY and getattr(aggregate, "__name__", "") not in MEANS:
                continue
            for one in task._filters:
                key = _filtered(_key(metric), one.name)
                found.append(
                    Metric(
                        name=key if len(tasks) == 1 else f"{name}:{key}",
                        value=key,
                        part=name,
                        axis="general",
                        better="max" if better.get(metric, True) and _key(metric) == metric else "min",
                        weight=_filtered(_key(metric) + WEIGHT, one.name) if weighted else None,
                    )
                )
    if not found:
        measured = sorted({metric for task in tasks.values() for metric in task.aggregation()})
        raise UsageError(
            f"{', '.join(tasks)}: what lm-eval measures there ({', '.join(measured)}) is no mean over documents",
            "take a task that has acc, acc_norm, exact_match or a perplexity",
        )
    return found


def _number(document: DocumentRow, name: str) -> float:
    value = document.metrics[name]
    return value if isinstance(value, float) else value[0]


def _values(document: DocumentRow, name: str) -> dict[str, float]:
    value = document.metrics[name]
    if isinstance(value, float):
        return {_key(name): -value if name == PERPLEXITY else value}
    total, size = value
    if name not in EXPONENTS or not size:  # such as (gold, prediction), or an empty text
        return {}
    unit = math.log(2) if name == "bits_per_byte" else 1.0
    return {EXPONENTS[name]: -total / (unit * size), EXPONENTS[name] + WEIGHT: size}


def _key(metric: str) -> str:
    return NATS if metric == PERPLEXITY else EXPONENTS.get(metric, metric)


def _filtered(key: str, filter_name: str) -> str:
    """As lm-eval writes it, where a filter has a name of its own: `exact_match,strict-match`."""
    return key if filter_name == "none" else f"{key},{filter_name}"
