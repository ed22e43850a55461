"""Attacks on the way through the model: vectors before a prompt, a push in the stream, a direction taken out of it."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest
import torch

from unlearnbench.asking.descent import descend
from unlearnbench.asking.place import AskingPlace
from unlearnbench.asking.prompts import ask_directly
from unlearnbench.asking.sides import Side
from unlearnbench.editing.objective import truths
from unlearnbench.errors import Diverged
from unlearnbench.facts import Split
from unlearnbench.model.hooks import recorded
from unlearnbench.model.model import Model
from unlearnbench.model.prepended import prepended
from unlearnbench.model.reading import answer_logprobs, answer_loss, last_logits
from unlearnbench.tasks.attacks.direction_ablation import DirectionAblation, _without
from unlearnbench.tasks.attacks.latent_attack import LatentAttack
from unlearnbench.tasks.attacks.sampling import Sampling, leak
from unlearnbench.tasks.attacks.soft_prompt import SoftPrompt

IDS = [[0, 5, 9, 7], [0, 11, 3]]


@pytest.fixture
def side(split: Split) -> Side:
    """A few facts to learn from and to ask."""
    return Side(split.relearn_train[:4], split.relearn_test[:2], "relearn_test")


def _hooks(model: Model) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.network.modules())


def test_embeddings_of_tokens_before_a_prompt_are_those_tokens(model: Model) -> None:
    bos = model.tokenizer.bos_token_id is not None and model.tokenizer("a").input_ids[0] == model.tokenizer.bos_token_id
    tokens = [21, 33, 40]
    longer = [ids[: int(bos)] + tokens + ids[int(bos) :] for ids in IDS]
    vectors = model.network.get_input_embeddings()(torch.tensor(tokens)).detach()
    with torch.no_grad():
        expected, hooks = last_logits(model, longer), _hooks(model)

        with prepended(model, vectors):
            found = last_logits(model, IDS)

    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert _hooks(model) == hooks


def test_no_vectors_before_a_prompt_change_nothing(model: Model) -> None:
    with torch.no_grad():
        expected = last_logits(model, IDS)
        with prepended(model, torch.zeros(0, model.width)):
            torch.testing.assert_close(last_logits(model, IDS), expected)


def test_vectors_that_are_trained_lower_the_loss_and_no_weight_has_a_gradient(llama: Model, split: Split) -> None:
    lessons = truths(split.relearn_train)
    start = llama.network.get_input_embeddings()(torch.tensor([3, 4])).detach()
    kept = start.clone()
    before = llama.tensor_digests()
    context = partial(prepended, llama)

    found = descend(llama, lessons, start, context, steps=15, rate=0.05)

    with torch.no_grad():
        with context(start):
            first = answer_loss(llama, lessons)
        with context(found):
            last = answer_loss(llama, lessons)
    assert last < first - 0.1
    assert llama.tensor_digests() == before
    assert all(parameter.grad is None for parameter in llama.parameters.values())
    assert torch.equal(start, kept)


def test_of_all_vectors_those_of_the_lowest_loss_are_kept(llama: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    now, seen = dict[str, torch.Tensor](), list[float]()

    @contextmanager
    def noted(vectors: torch.Tensor) -> Iterator[None]:
        now["vectors"] = vectors
        yield

    def bowl(_model: Model, _pairs: object) -> torch.Tensor:
        loss = (now["vectors"] - 3.0).square().sum()
        seen.append(loss.item())
        return loss

    monkeypatch.setattr("unlearnbench.asking.descent.answer_loss", bowl)

    found = descend(llama, [], torch.zeros(1, 2), noted, steps=2, rate=5.0)  # it goes past the bottom, and on

    assert len(seen) == 3
    assert min(seen) < seen[0]
    assert min(seen) < seen[-1]
    assert (found - 3.0).square().sum().item() == pytest.approx(min(seen))


def test_a_loss_that_is_no_number_is_no_robustness(llama: Model, split: Split) -> None:
    with llama.restored():
        llama.write({name: p * float("nan") for name, p in llama.parameters.items()})
        with pytest.raises(Diverged, match="no number"):
            descend(
                llama,
                truths(split.relearn_train),
                torch.zeros(1, llama.width),
                partial(prepended, llama),
                steps=2,
                rate=0.1,
            )


def test_a_latent_attack_stays_in_its_ball_and_is_one_vector_for_all(
    llama: Model, side: Side, split: Split, asking: AskingPlace
) -> None:
    attack = LatentAttack(sites="1", epsilons="0.5", steps=4)
    path = f"{llama.family.blocks}.1"

    none, pushed = attack.variants(llama, side, split, asking)
    with torch.no_grad():
        with none.context(), recorded(llama, {"it": path}) as seen:
            last_logits(llama, IDS)
            plain = seen["it"].clone()
        with pushed.context(), recorded(llama, {"it": path}) as seen:
            last_logits(llama, IDS)
            moved = seen["it"] - plain

    vector = moved[0, 0]
    assert vector.norm() > 0
    torch.testing.assert_close(moved[:, 1], vector.expand(2, -1), rtol=1e-3, atol=1e-4)
    from unlearnbench.tasks.attacks.latent_attack import _median_norm

    assert vector.norm() <= 0.5 * _median_norm(llama, side, path) * 1.001


def test_what_lies_along_the_direction_is_gone_and_the_rest_is_as_it_was(llama: Model) -> None:
    away = torch.randn(llama.width, generator=torch.Generator().manual_seed(0))
    path = f"{llama.family.blocks}.2"
    with torch.no_grad(), recorded(llama, {"it": path}) as seen:
        last_logits(llama, IDS)
        plain = seen["it"].clone()
        with _without(llama, {2: away}), recorded(llama, {"it": path}) as seen_without:
            last_logits(llama, IDS)
            found = seen_without["it"]

    unit = away / away.norm()
    torch.testing.assert_close(found @ unit, torch.zeros_like(found @ unit), atol=1e-4, rtol=0)
    across = plain - (plain @ unit)[..., None] * unit
    torch.testing.assert_close(found, across, atol=1e-4, rtol=1e-4)


def test_an_unedited_model_has_no_direction_and_is_left_alone(
    llama: Model, side: Side, split: Split, asking: AskingPlace
) -> None:
    base = {name: parameter.detach().clone() for name, parameter in llama.parameters.items()}
    place = dataclasses.replace(asking, base=base)

    rows = DirectionAblation().attack(llama, side, split, place)

    said = {after: [r.logprobs for r in rows if r.at == {"after": after}] for after in ("none", "0", "3", "all")}
    assert said["0"] == said["3"] == said["all"] == said["none"]


@pytest.mark.parametrize(
    "attack",
    [SoftPrompt(lengths="2", steps=2), LatentAttack(sites="0", epsilons="1", steps=2)],
    ids=lambda one: one.name,
)
def test_what_is_trained_on_half_of_t_is_chosen_on_the_other(
    attack: SoftPrompt | LatentAttack,
    llama: Model,
    side: Side,
    split: Split,
    asking: AskingPlace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trained: list[list[tuple[str, str]]] = []

    def watching(model: Model, pairs: list[tuple[str, str]]) -> torch.Tensor:
        trained.append(list(pairs))
        return -answer_logprobs(model, pairs).mean()

    monkeypatch.setattr("unlearnbench.asking.descent.answer_loss", watching)
    before = llama.tensor_digests()

    attack.attack(llama, side, split, asking)

    assert all(pairs == truths(side.taught[:2]) for pairs in trained)
    assert trained
    assert llama.tensor_digests() == before


def test_a_leak_is_what_drawing_samples_finds_on_average() -> None:
    rng = np.random.default_rng(0)
    for probability, samples in ((0.3, 1), (0.05, 10), (0.002, 100)):
        drawn = (rng.random((20000, samples)) < probability).any(1).mean()
        assert leak(probability, samples) == pytest.approx(drawn, abs=0.01)
    assert leak(1.0, 5) == pytest.approx(1.0)
    assert leak(1e-18, 10) == pytest.approx(1e-17)


def test_one_sample_says_the_answer_with_its_probability(llama: Model, split: Split, asking: AskingPlace) -> None:
    rows = Sampling(samples="1+7").attack(
        llama, Side(split.relearn_train, split.relearn_test, "relearn_test"), split, asking
    )

    likely = {row.item: row.values["p_true"] for row in ask_directly(llama, split.relearn_test, "v", 64)}
    for row in rows:
        if row.subset == "relearn_test":
            k = row.at.get("samples", 1)
            assert row.values["accuracy"] == pytest.approx(1 - (1 - likely[row.item]) ** k, abs=1e-9)
    assert {row.at.get("samples") for row in rows} == {None, 1, 7}
