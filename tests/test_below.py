"""Blocks that stay as they are are run once for each text, and what comes out of the model is the same."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from unlearnbench.editing.finetuning import FineTuning
from unlearnbench.editing.localization import Localization
from unlearnbench.editing.localizer import Localizer
from unlearnbench.editing.place import EditingPlace
from unlearnbench.facts import Split
from unlearnbench.methods.full_finetune import FullFinetune
from unlearnbench.model.below import Below, first_block, kept_below
from unlearnbench.model.hooks import intervened
from unlearnbench.model.model import Model
from unlearnbench.model.reading import answer_loss, last_logits
from unlearnbench.settings import made

TEXTS = ["Fact: Ann Lee plays the sport of", "Today", "The sport of Bo Rodgers is", "Fact: Cy"]


def _ids(model: Model, texts: list[str]) -> list[list[int]]:
    return [list(model.tokenizer(text).input_ids) for text in texts]


@pytest.mark.parametrize("blocks", [1, 2, 4])
def test_logits_are_the_same_whether_lower_blocks_are_run_or_remembered(model: Model, blocks: int) -> None:
    sequences = _ids(model, TEXTS)
    with torch.no_grad():
        plain = last_logits(model, sequences)

        with kept_below(model, blocks):
            found = [last_logits(model, sequences), last_logits(model, sequences[::-1]).flip(0)]
            alone = torch.cat([last_logits(model, [ids]) for ids in sequences])

    for one in (*found, alone):
        torch.testing.assert_close(one, plain, atol=1e-5, rtol=1e-5)


def test_lower_blocks_are_run_once_for_each_text(model: Model, counted: Any) -> None:
    sequences = _ids(model, TEXTS)
    with torch.no_grad(), kept_below(model, 2), counted(model) as ran:
        last_logits(model, sequences[:2])
        last_logits(model, [*sequences, sequences[0]])
        last_logits(model, sequences)

    assert ran[0] == ran[1] == [2, 2], "two new texts at the first pass, two at the second, none at the third"
    assert ran[2] == ran[3] == [2, 5, 4]


def test_a_hook_inside_a_remembered_block_makes_it_run(model: Model) -> None:
    sequences, seen = _ids(model, TEXTS), list[int]()

    def note(output: torch.Tensor) -> torch.Tensor:
        seen.append(len(output))
        return output * 2

    path = model.components["mlp.0"].path
    with torch.no_grad(), intervened(model, {path: note}):
        plain = last_logits(model, sequences)
        with kept_below(model, 2):
            found = [last_logits(model, sequences) for _ in range(2)]

    assert seen == [4, 4, 4]
    assert all(torch.equal(one, plain) for one in found)


def test_what_is_behind_is_what_every_later_pass_costs(llama: Model) -> None:
    sequences = _ids(llama, TEXTS[:1])
    with torch.no_grad(), kept_below(llama, 3):
        last_logits(llama, sequences)
        first = llama.tokens_forward
        last_logits(llama, sequences)

    assert first == pytest.approx(len(sequences[0]), abs=1)
    assert llama.tokens_forward - first == pytest.approx(len(sequences[0]) / 4, abs=1)


def test_gradients_of_the_blocks_above_are_the_same(model: Model) -> None:
    pairs = [("Fact: Ann Lee plays the sport of", "golf"), ("The sport of Bo Rodgers is", "ice hockey")]
    weights = [p for name, p in model.parameters.items() if f".{model.blocks - 1}." in name]
    plain = torch.autograd.grad(answer_loss(model, pairs), weights)

    with kept_below(model, model.blocks - 1):
        for _ in range(2):
            found = torch.autograd.grad(answer_loss(model, pairs), weights)

            for mine, theirs in zip(found, plain, strict=True):
                torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-4)


def test_it_is_over_where_its_context_ends(model: Model) -> None:
    forwards = {name: module.__dict__.get("forward") for name, module in model.network.named_modules()}
    hooks = [len(module._forward_hooks) for module in model.network.modules()]

    with torch.no_grad(), kept_below(model, 2):
        last_logits(model, _ids(model, TEXTS))
        block = model.network.get_submodule(f"{model.family.blocks}.0")
        assert block.__dict__.get("forward") is None, "outside of a forward pass nothing is replaced"

    assert model.below is None
    assert {name: module.__dict__.get("forward") for name, module in model.network.named_modules()} == forwards
    assert [len(module._forward_hooks) for module in model.network.modules()] == hooks


def test_what_does_not_fit_is_computed_each_time_and_the_same_comes_out(llama: Model) -> None:
    sequences = _ids(llama, TEXTS)
    one = len(sequences[1]) * 32 * 4
    with torch.no_grad():
        plain = last_logits(llama, sequences)
        below = Below(llama, 2, room=one)
        found = [below.outputs(sequences) for _ in range(2)]
        llama.below = below
        assert torch.allclose(last_logits(llama, sequences), plain, atol=1e-5)

    assert torch.equal(*found)
    assert 0 < below.bytes <= one


def test_a_hook_on_the_last_remembered_block_acts_each_time_anew(model: Model) -> None:
    sequences = _ids(model, TEXTS)
    path = f"{model.family.blocks}.1"
    for scale in (1.0, 0.5, 2.0):
        with torch.no_grad(), intervened(model, {path: lambda output, by=scale: output * by}):
            plain = last_logits(model, sequences)
            with kept_below(model, 2):
                last_logits(model, sequences)
                found = last_logits(model, sequences)

        torch.testing.assert_close(found, plain, atol=1e-5, rtol=1e-5)


def test_one_begins_where_another_ends_and_never_below_it(model: Model) -> None:
    sequences = _ids(model, TEXTS)
    with torch.no_grad():
        plain = last_logits(model, sequences)
        with kept_below(model, 1), kept_below(model, 3):
            assert torch.allclose(last_logits(model, sequences), plain, atol=1e-5)
        with kept_below(model, 3), pytest.raises(ValueError, match="block 1"), kept_below(model, 1):
            pass


def test_a_model_with_dropout_is_run_whole(llama: Model) -> None:
    llama.network.train()
    with kept_below(llama, 2) as below:
        assert below is None
    llama.network.eval()


def test_the_first_block_that_changes_is_that_of_the_lowest_tensor(model: Model) -> None:
    assert first_block(model, Localization.of(model, ["mlp.3", "attention.2"]).tensors) == 2
    assert first_block(model, Localization.of(model, ["embeddings", "mlp.3"]).tensors) == 0
    assert first_block(model, Localization.everywhere(model).tensors) == 0
    assert first_block(model, ()) == 0


def test_training_upper_blocks_gives_the_losses_of_a_plain_loop(
    model: Model,
    random_models: Callable[..., Model],
    architecture: str,
    split: Split,
    place: EditingPlace,
    monkeypatch: Any,
) -> None:
    method: FineTuning = FullFinetune(
        localizer=made(Localizer, "named[components=mlp.2+attention.3]"),
        steps=6, learning_rate=1e-3, batch_size=4, retain_batch=4, until=1.0,
    )  # fmt: skip
    seen = split.for_methods()

    def trained(model: Model) -> list[dict[str, float]]:
        return method.edit(model, seen, method.localize(model, seen, place), place)

    found = trained(model)
    monkeypatch.setattr("unlearnbench.editing.training.first_block", lambda *_: 0)
    plain = trained(random_models(architecture))

    assert [list(row) for row in found] == [list(row) for row in plain]
    for mine, theirs in zip(found, plain, strict=True):
        assert mine == {name: pytest.approx(value, abs=2e-5) for name, value in theirs.items()}
