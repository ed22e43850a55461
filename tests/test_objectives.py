"""Objectives against closed forms, hand-made cross-entropies and the network's own loss."""

import dataclasses
import math
from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F

from unlearnbench.editing.localization import Localization
from unlearnbench.editing.losses import log_one_minus_p
from unlearnbench.editing.objective import Batch, Objective
from unlearnbench.editing.place import EditingPlace
from unlearnbench.errors import UnknownName, UsageError
from unlearnbench.facts import Fact, Split, TrainingSplit
from unlearnbench.methods.full_finetune import FullFinetune
from unlearnbench.methods.objectives.edit import Edit
from unlearnbench.methods.objectives.log1mp import Log1mp
from unlearnbench.model.model import Model
from unlearnbench.model.reading import (
    Pair,
    answer_logprobs,
    answer_loss,
    encode,
    logits_at,
    pair_logprobs,
    text_loss,
)
from unlearnbench.settings import made

FLOOR = -5.0
PAIRS = [
    ("Fact: Ann Lee plays the sport of", "ice hockey"),
    ("The sport of Bo Rodgers is", "golf"),
    ("Today", "football"),
]


def _loss(objective: Objective, model: Model, facts: Sequence[Fact], place: EditingPlace) -> torch.Tensor:
    """The objective's loss on a batch of facts to forget."""
    (term,) = objective.terms(model, TrainingSplit(forget=facts, maintain_train=()), place)
    assert (term.name, term.weight, term.about) == ("forget", 1.0, "forget")
    return term.loss(Batch(0, facts, (), ()))


def _over_two_tokens(logprobs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits over two tokens of which the first has these log-probabilities, and that token as the target."""
    logits = torch.stack([logprobs, torch.log(-torch.expm1(logprobs))], dim=-1)
    return logits, torch.zeros(len(logprobs), dtype=torch.long)


def test_log_one_minus_p_is_its_closed_form() -> None:
    logprobs = torch.tensor([-0.01, -0.5, -1.0, -2.0, -4.99], dtype=torch.float64)

    found = log_one_minus_p(*_over_two_tokens(logprobs), FLOOR).item()

    expected = -math.fsum(math.log(1 - math.exp(value)) for value in logprobs.tolist()) / 5
    assert found == pytest.approx(expected, rel=1e-12)


def test_log_one_minus_p_in_float32_is_close_to_the_closed_form() -> None:
    logprobs = torch.linspace(-4.9, -0.001, 50)

    found = log_one_minus_p(*_over_two_tokens(logprobs), FLOOR).item()

    exact = logprobs.double().tolist()
    assert found == pytest.approx(-math.fsum(math.log(-math.expm1(value)) for value in exact) / 50, rel=1e-5)


def test_it_does_not_depend_on_a_constant_added_to_all_logits() -> None:
    logits, targets = _over_two_tokens(torch.tensor([-0.3, -3.0]))

    found = [log_one_minus_p(logits + shift, targets, FLOOR).item() for shift in (0.0, 30.0, -30.0)]

    assert found == pytest.approx([found[0]] * 3, rel=1e-4)


def test_tokens_below_the_floor_count_as_zero_and_have_no_gradient() -> None:
    logits, targets = _over_two_tokens(torch.tensor([-1.0, -5.001, -50.0]))
    logits.requires_grad_()

    loss = log_one_minus_p(logits, targets, FLOOR)
    (gradient,) = torch.autograd.grad(loss, logits)

    assert loss.item() == pytest.approx(-math.log(1 - math.exp(-1.0)) / 3, rel=1e-6)
    assert gradient[0, 0] > 0
    assert gradient[1:].tolist() == [[0.0, 0.0], [0.0, 0.0]]


@pytest.mark.parametrize("lead", [20.0, 40.0, 100.0])
def test_an_answer_that_is_certain_has_a_finite_loss_and_its_full_gradient(lead: float) -> None:
    logits = torch.tensor([[lead, 0.0]], requires_grad=True)

    loss = log_one_minus_p(logits, torch.tensor([0]), FLOOR)
    (gradient,) = torch.autograd.grad(loss, logits)

    assert loss.item() == pytest.approx(lead)
    assert gradient.tolist() == [[pytest.approx(1.0), pytest.approx(-1.0)]]


def test_the_gradient_of_log_one_minus_p_is_right_away_from_its_kinks() -> None:
    logits, targets = _over_two_tokens(torch.tensor([-0.05, -0.7, -2.0, -4.5, -5.5, -9.0], dtype=torch.float64))
    logits.requires_grad_()

    assert torch.autograd.gradcheck(lambda values: log_one_minus_p(values, targets, FLOOR), logits)


def test_numbers_that_are_none_are_not_taken_for_zero() -> None:
    logits = torch.tensor([[math.nan, -1.0], [0.0, 0.0]])

    assert not log_one_minus_p(logits, torch.tensor([0, 0]), FLOOR).isfinite()


def _by_hand(model: Model, pairs: list[Pair]) -> list[torch.Tensor]:
    """ln p [tokens] of each pair, by the network on that pair alone."""
    found = []
    for prompt, answer in pairs:
        start = len(model.tokenizer(prompt).input_ids)
        ids = torch.tensor(model.tokenizer(f"{prompt} {answer}").input_ids)
        logits = model.network(input_ids=ids[None]).logits[0]
        found.append(-F.cross_entropy(logits[start - 1 : -1], ids[start:], reduction="none"))
    return found


def test_answer_logprobs_are_those_of_every_pair_alone(model: Model) -> None:
    found = answer_logprobs(model, PAIRS)

    expected = torch.cat(_by_hand(model, PAIRS))
    assert len(expected) > len(PAIRS)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_answer_loss_is_the_cross_entropy_over_all_answer_tokens(model: Model) -> None:
    loss = answer_loss(model, PAIRS)

    assert loss.item() == pytest.approx(-torch.cat(_by_hand(model, PAIRS)).mean().item(), abs=1e-5)


def test_answer_loss_has_the_gradient_of_the_cross_entropy(model: Model) -> None:
    weights = list(model.parameters.values())

    found = torch.autograd.grad(answer_loss(model, PAIRS), weights, allow_unused=True)

    expected = torch.autograd.grad(-torch.cat(_by_hand(model, PAIRS)).mean(), weights, allow_unused=True)
    assert any(gradient is not None and gradient.abs().max() > 0 for gradient in expected)
    for mine, theirs in zip(found, expected, strict=True):
        assert (mine is None) == (theirs is None)
        if mine is not None and theirs is not None:
            torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-4)


def test_text_loss_of_one_text_is_the_networks_own_loss(model: Model) -> None:
    ids = model.tokenizer("Fact: Ann Lee plays the sport of ice hockey . Today golf").input_ids

    loss = text_loss(model, [ids])

    expected = model.network(input_ids=torch.tensor([ids]), labels=torch.tensor([ids])).loss
    assert loss.item() == pytest.approx(expected.item(), abs=1e-5)


def test_text_loss_of_several_texts_weighs_every_token_alike(model: Model) -> None:
    texts = [model.tokenizer(prompt).input_ids for prompt, _ in PAIRS]

    loss = text_loss(model, texts)

    counts = [len(ids) - 1 for ids in texts]
    alone = [text_loss(model, [ids]).item() for ids in texts]
    expected = math.fsum(n * value for n, value in zip(counts, alone, strict=True)) / sum(counts)
    assert loss.item() == pytest.approx(expected, abs=1e-5)


def test_unlearning_is_log_one_minus_p_of_the_true_answers(
    model: Model, small_split: Split, place: EditingPlace
) -> None:
    pairs = [(fact.prompt, fact.answer) for fact in small_split.forget]

    loss = _loss(Log1mp(), model, small_split.forget, place)

    values = torch.cat(_by_hand(model, pairs)).double().tolist()
    terms = [math.log(1 - math.exp(value)) if value >= FLOOR else 0.0 for value in values]
    assert loss.item() == pytest.approx(-math.fsum(terms) / len(terms), abs=1e-5)


def _make_sure(model: Model, fact: Fact, lead: float) -> None:
    """Let the output layer give the first token of the answer this lead (in logits) over all others, or more."""
    context, tokens = encode(model, fact.prompt, fact.answer)
    with torch.no_grad():
        state = model.network.base_model(input_ids=torch.tensor([context])).last_hidden_state[0, -1]
        logits = logits_at(model, [context], [0], [len(context) - 1])[0]
        missing = logits.max() + lead - logits[tokens[0]]
        model.network.get_output_embeddings().weight[tokens[0]] += missing * state / state.square().sum()


@pytest.mark.parametrize("lead", [10.0, 20.0, 40.0])
def test_unlearning_moves_even_an_answer_that_is_certain(
    llama: Model, split: Split, place: EditingPlace, lead: float
) -> None:
    fact = split.forget[0]
    _make_sure(llama, fact, lead)
    weights = list(llama.parameters.values())
    logprob = answer_logprobs(llama, [(fact.prompt, fact.answer)])

    gradients = torch.autograd.grad(_loss(Log1mp(), llama, [fact], place), weights, allow_unused=True)

    assert logprob.shape == (1,)
    assert logprob.item() > -1e-2
    assert max(g.abs().max().item() for g in gradients if g is not None) > 1e-3


def test_editing_is_cross_entropy_to_the_edit_targets(model: Model, small_split: Split, place: EditingPlace) -> None:
    pairs = [(fact.prompt, fact.edit_target or "") for fact in small_split.forget]

    loss = _loss(Edit(), model, small_split.forget, place)

    assert loss.item() == pytest.approx(-torch.cat(_by_hand(model, pairs)).mean().item(), abs=1e-5)


def test_only_editing_needs_an_edit_target() -> None:
    assert Edit.needs == {"edit_target"}
    assert Log1mp.needs == set()


def test_editing_refuses_facts_without_a_target_and_names_one(
    llama: Model, small_split: Split, place: EditingPlace
) -> None:
    aimless = dataclasses.replace(small_split.relearn_test[0], edit_target=None)
    seen = dataclasses.replace(small_split, relearn_test=[aimless]).for_methods()
    method, before = FullFinetune(objective=Edit(), steps=1, learning_rate=1e-3), llama.tensor_digests()

    with pytest.raises(UsageError, match=aimless.id):
        method.edit(llama, seen, Localization.everywhere(llama), place)

    assert llama.tensor_digests() == before


def test_objectives_are_found_by_name_with_their_settings() -> None:
    assert made(Objective, "edit") == Edit()
    assert made(Objective, "log1mp[floor=-3]") == Log1mp(floor=-3.0)


def test_an_unknown_objective_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownName) as refused:
        made(Objective, "log1p")

    assert "'log1mp'" in refused.value.hint


def test_the_log_probability_of_a_pair_is_the_sum_over_its_tokens(model: Model) -> None:
    found = pair_logprobs(model, PAIRS)

    expected = torch.stack([tokens.sum() for tokens in _by_hand(model, PAIRS)])
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
