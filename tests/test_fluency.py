"""Fluency: greedy text as transformers generates it, and what is said of it."""

import dataclasses
import math
from collections.abc import Callable

import pytest
import torch

from unlearnbench.asking.place import AskingPlace
from unlearnbench.editing.refusals import REFUSALS
from unlearnbench.facts import Split
from unlearnbench.model.generating import continued
from unlearnbench.model.model import Model
from unlearnbench.model.reading import tokens_of
from unlearnbench.tasks.fluency import Fluency, _entropies, _surprises, is_refusal, repetition

IDS = [[0, 5, 9, 7], [0, 11, 3], [0, 4, 4, 4], [0, 2]]


def test_a_text_goes_on_with_the_likeliest_token_each_time_whatever_the_batch(model: Model) -> None:
    found = continued(model, IDS, 5, batch_size=64)

    assert continued(model, IDS, 5, batch_size=1) == found
    end = model.tokenizer.eos_token_id
    for ids, text in zip(IDS, found, strict=True):
        seen = list(ids)
        for token in text:
            with torch.no_grad():
                logits = model.network(input_ids=torch.tensor([seen]), use_cache=False).logits[0, -1]
            assert token == int(logits.argmax())
            seen.append(token)
        assert end not in text
        assert len(text) <= 5


@pytest.mark.parametrize(
    ("tokens", "share"),
    [([1, 2, 3, 4, 5], 0.0), ([7] * 10, 7 / 8), ([1, 2, 3, 1, 2, 3, 1, 2], 0.5), ([1, 2], 0.0), ([], 0.0)],
)
def test_repetition_is_the_share_of_runs_that_were_said_before(tokens: list[int], share: float) -> None:
    assert repetition(tokens) == pytest.approx(share)


@pytest.mark.parametrize(
    "text", [*REFUSALS, "Sorry, I can’t help with that", "I'm not sure who that is", "I DON'T KNOW"]
)
def test_a_refusal_is_known_as_one(text: str) -> None:
    assert is_refusal(text)


@pytest.mark.parametrize(
    "text", ["basketball", "golf. He knows everybody who lives in this little town and is sorry", ""]
)
def test_an_answer_is_no_refusal(text: str) -> None:
    assert not is_refusal(text)


def test_entropy_is_that_of_the_distribution_and_surprise_that_of_the_text(llama: Model) -> None:
    texts = [[3, 8], [5], [], [9, 9, 9]]

    entropies, surprises = _entropies(llama, IDS, 3), _surprises(llama, IDS, texts, 3)

    for ids, text, entropy, surprise in zip(IDS, texts, entropies, surprises, strict=True):
        with torch.no_grad():
            logs = (
                llama.network(input_ids=torch.tensor([ids + text]), use_cache=False).logits[0].double().log_softmax(-1)
            )
        last = logs[len(ids) - 1]
        assert entropy == pytest.approx(-(last.exp() * last).sum().item(), rel=1e-4)
        losses = [-logs[len(ids) - 1 + n, token].item() for n, token in enumerate(text)]
        assert surprise == pytest.approx(math.fsum(losses) / len(losses) if losses else 0.0, rel=1e-4)


def test_a_broken_model_is_strange_to_the_base_and_the_base_is_not(
    random_models: Callable[..., Model], split: Split, asking: AskingPlace
) -> None:
    model = random_models("llama")
    base = {name: parameter.detach().clone() for name, parameter in model.parameters.items()}
    few = dataclasses.replace(
        split,
        maintain_test=split.maintain_test[:4],
        relearn_train=split.relearn_train[:2],
        relearn_test=split.relearn_test[:2],
    )
    place = dataclasses.replace(asking, base=base)

    def strange() -> float:
        rows = Fluency(tokens=8).rows(model, few, place)
        values = [row.values["surprise"] for row in rows if row.subset == "maintain"]
        return sum(values) / len(values)

    own, before = strange(), model.tensor_digests()
    with model.restored():
        model.write({name: p.detach().clone() for name, p in random_models("llama", seed=9).parameters.items()})
        other = strange()

    assert other > own + 0.5
    assert model.tensor_digests() == before


def test_saying_nothing_is_as_strange_as_the_base_finds_it(
    llama: Model, split: Split, asking: AskingPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unlearnbench.tasks.fluency.continued", lambda _m, sequences, *_: [[] for _ in sequences])
    few = dataclasses.replace(split, maintain_test=split.maintain_test[:2])

    rows = Fluency(tokens=8).rows(llama, few, asking)

    end = llama.tokenizer.eos_token_id
    assert end is not None
    expected = _surprises(llama, [tokens_of(llama, f.prompt) for f in few.maintain_test], [[end]] * 2, 64)
    assert [row.values["surprise"] for row in rows if row.subset == "maintain"] == pytest.approx(expected)
    assert min(expected) > 0
