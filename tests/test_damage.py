"""When a run is no result: the model no longer reads, or what was to be kept is gone."""

import math

import pytest
import torch

from unlearnbench.editing.retain import RetainText
from unlearnbench.model.model import Model
from unlearnbench.model.reading import text_logits, text_loss
from unlearnbench.running.damage import MOST_RISE, collapse, nothing_kept, read


def test_reading_a_model_twice_finds_no_divergence(llama: Model, retain: RetainText) -> None:
    reading = read(llama, retain)

    assert reading.kl(read(llama, retain)) == 0.0
    losses = [text_loss(llama, retain.test[i : i + 8]).item() for i in range(0, len(retain.test), 8)]
    assert reading.loss == pytest.approx(math.fsum(losses) / len(losses))


def test_the_divergence_is_that_of_a_brute_force_over_the_compared_positions(llama: Model, retain: RetainText) -> None:
    short = RetainText(retain.train, [text[:9] for text in retain.test])  # eight positions: all are compared
    before = read(llama, short)
    with torch.no_grad():
        kept = [text_logits(llama, [text])[0].double().softmax(1) for text in short.test]
        next(iter(llama.parameters.values())).mul_(1.5)
        edited = [text_logits(llama, [text])[0].double().softmax(1) for text in short.test]

    kl = [(p * (p / q).log()).sum(1) for p, q in zip(kept, edited, strict=True)]
    assert before.kl(read(llama, short)) == pytest.approx(torch.cat(kl).mean().item(), rel=1e-4)


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (1.0, 1.0 + MOST_RISE - 0.01, None),
        (1.0, 1.0 + MOST_RISE + 0.01, "rose from 1.00 to 2.01"),
        (1.0, math.inf, "not finite"),
        (1.0, 99.0, "a uniform guess"),
        (99.0, 99.5, None),  # a model that never could read has nothing to lose
    ],
)
def test_a_model_that_lost_its_language_is_no_result(
    llama: Model, before: float, after: float, reason: str | None
) -> None:
    found = collapse(llama, before, after)

    assert (found is None) == (reason is None)
    assert reason is None or reason in str(found)


@pytest.mark.parametrize(
    ("kept", "before", "unknown", "broken"),
    [
        (0.25, 1.0, 0.2, True),  # as little as nobody ever knew
        (0.5, 1.0, 0.2, False),
        (0.25, 0.3, 0.2, False),  # the base did not know them either
        (0.0, 1.0, 0.0, True),
    ],
)
def test_a_run_that_keeps_no_more_than_was_never_known_is_no_result(
    kept: float, before: float, unknown: float, broken: bool
) -> None:
    assert (nothing_kept(kept, before, unknown, 62) is not None) == broken
