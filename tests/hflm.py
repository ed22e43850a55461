"""lm-eval's own model beside ours: the reference of all that is asked through lm-eval."""

import copy
from collections.abc import Sequence
from typing import Any

import pytest
from lm_eval.models.huggingface import HFLM

from unlearnbench.model.model import Model

from .own_lm_eval_task import request


def requests_of(pairs: Sequence[tuple[str, str]]) -> list[Any]:
    """One request for each context and continuation."""
    return [request("loglikelihood", pair, i) for i, pair in enumerate(pairs)]


def hflm(model: Model, **options: Any) -> HFLM:
    """lm-eval's own, on a copy of the model: it would change it."""
    tokenizer = copy.deepcopy(model.tokenizer)
    network = copy.deepcopy(model.network)
    # Without its cache: of two requests with equal tokens that are split at different places it answers one wrongly.
    return HFLM(network, tokenizer=tokenizer, batch_size=4, softmax_dtype="float32", logits_cache=False, **options)


def assert_equal(ours: Sequence[tuple[float, bool]], theirs: Sequence[tuple[float, bool]]) -> None:
    """Equal log-likelihoods to 1e-4, and equal flags."""
    assert [value for value, _ in ours] == pytest.approx([value for value, _ in theirs], abs=1e-4)
    assert [greedy for _, greedy in ours] == [greedy for _, greedy in theirs]
