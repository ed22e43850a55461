"""Plain text: loss and divergence from the base model are what torch says they are."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
import torch.nn.functional as F

from unlearnbench.model import Model
from unlearnbench.retain import RetainText
from unlearnbench.split import Split
from unlearnbench.task import Examination, Row
from unlearnbench.tasks.text import Text

TEXTS = [[0, *range(5 + i, 12 + 2 * i)] for i in range(11)]  # of different lengths, and more than one batch


@pytest.fixture
def other(random_models: Callable[..., Model]) -> Model:
    """Another model of the same shape."""
    return random_models("llama", seed=1)


def asked(model: Model, base: Model, split: Split) -> list[Row]:
    """The rows of the task, with `base` as the model of before the edit."""

    @contextmanager
    def undone() -> Iterator[None]:
        with model.swapped({name: p.detach() for name, p in base.parameters.items()}):
            yield

    return Text().rows(model, Examination(split, 64, RetainText(TEXTS, TEXTS), undone))


@torch.no_grad()
def log_probs(model: Model, ids: list[int]) -> torch.Tensor:
    """By a plain forward pass of one text, in float64."""
    logits: torch.Tensor = model.network(torch.tensor([ids])).logits
    return logits[0, :-1].double().log_softmax(-1)


def test_the_loss_is_torchs_cross_entropy_of_each_text(llama: Model, other: Model, small_split: Split) -> None:
    for row, ids in zip(asked(llama, other, small_split), TEXTS, strict=True):
        loss = F.nll_loss(log_probs(llama, ids), torch.tensor(ids[1:])).item()
        assert row.values["loss"] == pytest.approx(loss, abs=1e-5)


def test_the_divergence_is_torchs_from_the_base_to_the_edited_model(
    llama: Model, other: Model, small_split: Split
) -> None:
    for row, ids in zip(asked(llama, other, small_split), TEXTS, strict=True):
        edited, base = log_probs(llama, ids), log_probs(other, ids)
        forward = F.kl_div(edited, base, log_target=True, reduction="batchmean").item()
        backward = F.kl_div(base, edited, log_target=True, reduction="batchmean").item()
        assert row.values["kl"] == pytest.approx(forward, rel=1e-5)
        assert abs(row.values["kl"] - backward) > 1e-4 * forward  # so the direction is not the other one
        agreement = (edited.argmax(-1) == base.argmax(-1)).double().mean().item()
        assert row.values["agreement"] == agreement


def test_a_model_does_not_diverge_from_itself(model: Model, small_split: Split) -> None:
    for row in asked(model, model, small_split):
        assert row.values["kl"] == 0.0
        assert row.values["agreement"] == 1.0


def test_the_edited_model_is_back_afterwards(llama: Model, other: Model, small_split: Split) -> None:
    before = llama.tensor_digests()
    asked(llama, other, small_split)
    assert llama.tensor_digests() == before
