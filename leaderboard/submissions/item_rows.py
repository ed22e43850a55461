"""Lines of a stranger's item log: of the shape that a board reads, and saying what their own likelihoods say."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

NEAR = 4e-6
"""Between two log-probabilities of six decimals, that may have been either way round."""
CLOSE = 2e-5
"""Relative, of probabilities of six digits to likelihoods of six decimals."""
SAID = (("gold", "accuracy", "p_true"), ("target", "edit_accuracy", "p_edit"))
MOST_CHOICES = 1_000
OF_LM_EVAL = ("general/", "mmlu")
"""Tasks of lm-eval, whose accuracy may be of likelihoods for each character."""


def problem_of(row: Any, task: str) -> str | None:
    """What is wrong with a line; None where nothing is."""
    if not isinstance(row, dict):
        return "it is no object"
    if not all(isinstance(row.get(key), str) for key in ("subset", "cluster", "item")):
        return "subset, cluster and item have to be texts"
    values = row.get("values")
    if not isinstance(values, dict) or not all(_number(value) for value in values.values()):
        return "values have to be numbers"
    if not isinstance(row.get("at", {}), dict):
        return "the coordinates have to be an object"
    if "choices" not in row and "logprobs" not in row:
        return None
    return _of_choices(row) or (None if task.startswith(OF_LM_EVAL) else _of_likelihoods(row, values))


def _of_choices(row: Mapping[str, Any]) -> str | None:
    choices, logprobs = row.get("choices"), row.get("logprobs")
    if not isinstance(choices, list) or not 0 < len(choices) <= MOST_CHOICES:
        return "choices have to be a list"
    if not all(isinstance(one, str) for one in choices):
        return "choices have to be texts"
    if not isinstance(logprobs, list) or len(logprobs) != len(choices) or not all(map(_number, logprobs)):
        return "there has to be a log-probability for each choice"
    for key in ("gold", "target"):
        at = row.get(key)
        if at is not None and (isinstance(at, bool) or not isinstance(at, int) or not 0 <= at < len(choices)):
            return f"{key} is none of the choices"
    return None


def _of_likelihoods(row: Mapping[str, Any], values: Mapping[str, float]) -> str | None:
    """Accuracy is the credit of the likeliest choice, and p its likelihood."""
    logprobs: list[float] = row["logprobs"]
    highest = max(logprobs)
    near = [i for i, one in enumerate(logprobs) if highest - one <= NEAR]
    for key, accuracy, probability in SAID:
        at = row.get(key)
        if at is None:
            continue
        if probability in values and not _close(values[probability], logprobs[at]):
            return f"{probability} is {values[probability]}, and the log-probability {logprobs[at]}"
        if accuracy in values and len(near) == 1 and values[accuracy] != float(at in near):
            return f"{accuracy} is {values[accuracy]}, and its choice is {'' if at in near else 'not '}the likeliest"
        if accuracy in values and not 0 <= values[accuracy] <= 1:
            return f"{accuracy} is {values[accuracy]}"
    return None


def _close(probability: float, logprob: float) -> bool:
    if logprob > 0:
        return False
    expected = math.exp(max(logprob, -700.0))
    return abs(probability - expected) <= CLOSE * expected + 1e-12


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
