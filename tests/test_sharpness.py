"""Sharpness-aware minimization against a step of it written out by hand."""

import dataclasses
from collections.abc import Callable

import pytest
import torch

from unlearnbench.editing.adversary import Adversary, Defence
from unlearnbench.editing.localization import Localization
from unlearnbench.editing.objective import Batch
from unlearnbench.editing.place import EditingPlace
from unlearnbench.errors import UsageError
from unlearnbench.facts import Split
from unlearnbench.methods.adversaries.sharpness import Sharpness
from unlearnbench.methods.full_finetune import FullFinetune
from unlearnbench.model.model import Model
from unlearnbench.model.reading import answer_loss
from unlearnbench.settings import made


def _loss(model: Model, split: Split) -> torch.Tensor:
    return answer_loss(model, [(fact.prompt, fact.edit_target or "") for fact in split.forget])


def test_weights_move_by_rho_along_the_gradient_and_come_back_bit_for_bit(model: Model, small_split: Split) -> None:
    where, before = Localization.of(model, ["mlp.1", "attention.2"]), model.tensor_digests()
    weights = {name: p.detach().clone() for name, p in model.parameters.items()}
    with model.trainable(where.tensors) as trained:
        defence = Defence(Batch(0, (), (), ()), {"forget": lambda: _loss(model, small_split)}, seed=0)
        gradients = torch.autograd.grad(_loss(model, small_split), list(trained.values()))
        length = torch.stack([g.square().sum() for g in gradients]).sum().sqrt()

        strike = Sharpness(rho=0.3).strike(model, defence)
        with strike.on("forget"):
            raised = _loss(model, small_split).item()
            moved = {name: p.detach() - weights[name] for name, p in model.parameters.items()}

    for name, gradient in zip(trained, gradients, strict=True):
        torch.testing.assert_close(moved.pop(name), 0.3 * gradient / length, atol=1e-6, rtol=1e-3)
    assert not any(by.any() for by in moved.values())
    assert raised > _loss(model, small_split).item()
    assert model.tensor_digests() == before


def test_a_step_equals_one_written_by_hand(
    random_models: Callable[..., Model], small_split: Split, place: EditingPlace
) -> None:
    model, plain = random_models("llama"), random_models("llama")
    method = FullFinetune(
        adversary=Sharpness(rho=0.2), steps=1, learning_rate=1e-2, maintain_weight=0.5, retain_weight=0.0
    )

    method.edit(model, small_split.for_methods(), Localization.everywhere(model), place)

    weights = list(plain.parameters.values())
    first = torch.autograd.grad(_loss(plain, small_split), weights)
    length = torch.stack([g.square().sum() for g in first]).sum().sqrt()
    with torch.no_grad():
        for weight, gradient in zip(weights, first, strict=True):
            weight.add_(0.2 * gradient / length)
    attacked = torch.autograd.grad(_loss(plain, small_split), weights)
    with torch.no_grad():
        for weight, gradient in zip(weights, first, strict=True):
            weight.sub_(0.2 * gradient / length)
    kept = answer_loss(plain, [(fact.prompt, fact.answer) for fact in small_split.maintain_train])
    torch.autograd.backward(0.5 * kept)
    for weight, gradient in zip(weights, attacked, strict=True):
        assert weight.grad is not None
        weight.grad.add_(gradient)
    torch.nn.utils.clip_grad_norm_(weights, 1.0)
    torch.optim.AdamW(weights, lr=1e-2, weight_decay=0.0).step()
    # The first step of Adam is the sign of the gradient: where that is rounding, either sign is right.
    moved = torch.cat([p.grad.abs().flatten() for p in weights if p.grad is not None]) > 1e-6
    mine, theirs = (torch.cat([p.detach().flatten() for p in one.parameters.values()]) for one in (model, plain))
    torch.testing.assert_close(mine[moved], theirs[moved], atol=1e-4, rtol=1e-3)


def test_gradients_that_were_found_elsewhere_stay(llama: Model, small_split: Split) -> None:
    with llama.trainable(llama.parameters) as trained:
        defence = Defence(Batch(0, (), (), ()), {"forget": lambda: _loss(llama, small_split)}, seed=0)
        strike = Sharpness().strike(llama, defence)
        with strike.on("forget"):
            torch.autograd.backward(_loss(llama, small_split))

        assert any(p.grad is not None and p.grad.any() for p in trained.values())


def test_a_radius_of_zero_is_no_adversary_and_is_refused_as_a_setting(
    random_models: Callable[..., Model], small_split: Split, place: EditingPlace
) -> None:
    seen = small_split.for_methods()
    method = FullFinetune(steps=3, learning_rate=1e-3)

    def edited(method: FullFinetune) -> dict[str, str]:
        model = random_models("llama")
        method.edit(model, seen, Localization.everywhere(model), place)
        return model.tensor_digests()

    assert edited(dataclasses.replace(method, adversary=Sharpness(rho=0.0))) == edited(method)
    with pytest.raises(UsageError, match="rho"):
        made(Adversary, "sharpness[rho=0]")
