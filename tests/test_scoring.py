"""Scores against a brute-force reference that runs every prompt and choice alone."""

import dataclasses
from collections.abc import Callable

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from unlearnbench.errors import UsageError
from unlearnbench.facts import Fact, Split
from unlearnbench.model.model import Model
from unlearnbench.model.reading import encode
from unlearnbench.model.scoring import Asked, Scored, refuse_indistinguishable, score

ASKED = [
    Asked("Fact: Ann Lee plays the sport of", ("football", "ice hockey", "ice skating", "ice")),
    Asked("Fact: Ann Lee plays the sport of", ("golf", "ice hockey")),  # the same prompt again
    Asked("Fact:", ("Ann Lee plays the sport of golf", "Ann", "golf")),  # contains a whole other prompt
    Asked("The sport of Bo Rodgers is", ("tennis", "water polo", "baseball")),
    Asked("Today", ("golf", "golf")),
]


def _alone(model: Model, prompt: str, choice: str) -> tuple[float, bool]:
    """Teacher-forced ln p of one choice, and whether its first token is the likeliest of all."""
    start = len(model.tokenizer(prompt).input_ids)
    ids = model.tokenizer(f"{prompt} {choice}").input_ids
    with torch.no_grad():
        logits = model.network(input_ids=torch.tensor([ids])).logits[0].double()
    logprobs = logits.log_softmax(-1)
    total = sum(logprobs[place - 1, ids[place]].item() for place in range(start, len(ids)))
    return total, logits[start - 1].argmax().item() == ids[start]


def test_scores_equal_those_of_every_choice_alone(model: Model) -> None:
    found = score(model, ASKED, batch_size=3)

    for question, scored in zip(ASKED, found, strict=True):
        alone = [_alone(model, question.prompt, choice) for choice in question.choices]
        assert scored.logprobs == pytest.approx([value for value, _ in alone], abs=1e-5)
        assert scored.begins == {i for i, (_, likeliest) in enumerate(alone) if likeliest}


@pytest.mark.parametrize("batch_size", [3, 64])
def test_scores_do_not_depend_on_the_batch_size(model: Model, small_split: Split, batch_size: int) -> None:
    asked = [*ASKED, *(Asked(fact.prompt, fact.choices) for fact in small_split.forget)]

    one, many = score(model, asked, 1), score(model, asked, batch_size)

    assert [s.begins for s in many] == [s.begins for s in one]
    for single, batched in zip(one, many, strict=True):
        assert batched.logprobs == pytest.approx(single.logprobs, abs=1e-5)


def test_scores_do_not_depend_on_what_else_is_asked(model: Model) -> None:
    together = score(model, ASKED, 64)

    apart = [score(model, [question], 64)[0] for question in ASKED]

    for all_at_once, single in zip(together, apart, strict=True):
        assert all_at_once.logprobs == pytest.approx(single.logprobs, abs=1e-5)


def test_choices_of_one_token_cost_one_sequence(llama: Model) -> None:
    prompt = "Fact: Ann Lee plays the sport of"

    score(llama, [Asked(prompt, ("golf", "tennis", "football", "baseball"))], 64)

    assert llama.tokens_forward == len(llama.tokenizer(prompt).input_ids)


def test_equal_answers_tie_and_the_first_of_them_is_the_decision(model: Model) -> None:
    (found,) = score(model, [Asked("Today", ("golf", "golf"))], 1)

    assert found.margin == 0.0
    assert found.decision == 0


def _likeliest_word(model: Model, prompt: str) -> str:
    """A word that is, as a token, likelier after the prompt than any other token; made so by the output layer."""
    with torch.no_grad():
        logits = model.network(input_ids=torch.tensor([model.tokenizer(prompt).input_ids])).logits[0, -1]
    decoded: str = model.tokenizer.decode([int(logits.argmax())])
    return decoded


def test_an_answer_is_valid_only_if_the_likeliest_of_all_tokens_begins_it(random_models: Callable[..., Model]) -> None:
    prompt, valid, invalid = "Fact: Ann Lee plays the sport of", 0, 0
    for seed in range(40):
        model = random_models("llama", seed)
        likeliest = _likeliest_word(model, prompt)
        if not (likeliest.startswith(" ") and likeliest[1:].isalpha()):
            continue
        word = likeliest[1:]
        with_it, without = score(model, [Asked(prompt, ("golf", word, f"{word} polo")), Asked(prompt, ("golf",))], 2)
        assert with_it.begins == {1, 2}
        assert with_it.valid
        valid += 1
        if word != "golf":
            assert without.begins == frozenset()
            assert not without.valid
            invalid += 1

    assert valid > 0
    assert invalid > 0


def test_some_of_the_choices_are_renumbered_from_zero() -> None:
    scored = Scored((-1.0, -2.0, -0.5, -0.7), frozenset({1, 3}))

    last_two = scored.among(range(2, 4))

    assert last_two == Scored((-0.5, -0.7), frozenset({1}))
    assert (scored.decision, last_two.decision) == (2, 0)
    assert scored.among(range(1)).valid is False


def test_the_margin_is_the_lead_over_the_second() -> None:
    assert Scored((-3.0, -1.0, -1.5), frozenset()).margin == 0.5
    assert Scored((-3.0, -1.0, -1.0), frozenset()).margin == 0.0


def test_where_nothing_is_asked_nothing_is_scored(llama: Model) -> None:
    assert score(llama, [], 64) == []


def test_scoring_needs_no_gradients_and_leaves_the_model_as_it_was(model: Model) -> None:
    before = model.tensor_digests()

    score(model, ASKED, 3)

    assert model.tensor_digests() == before
    assert model.tokens_backward == 0


# -- answers that the tokenizer cannot tell apart ------------------------------------------------------


def _fact(*answers: str) -> Fact:
    return Fact("Ann Lee", "game", "Fact: Ann Lee plays the sport of", answers[0], answers[1:])


@pytest.mark.parametrize("answers", [("ice", "golf", "ice hockey"), ("ice hockey", "golf", "ice")])
def test_an_answer_that_begins_another_is_refused_by_name(llama: Model, answers: tuple[str, ...]) -> None:
    with pytest.raises(UsageError) as refused:
        refuse_indistinguishable(llama, [_fact(*answers)])

    assert all(repr(word) in str(refused.value) for word in ("game:Ann Lee", "ice", "ice hockey"))


def test_answers_that_the_tokenizer_reads_alike_are_refused_by_name(llama: Model) -> None:
    words = {word: i for i, word in enumerate("? Fact: Ann Lee plays the sport of golf".split())}
    raw = Tokenizer(models.WordLevel(words, unk_token="?"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    model = Model(llama.network, PreTrainedTokenizerFast(tokenizer_object=raw, unk_token="?"))

    with pytest.raises(UsageError) as refused:
        refuse_indistinguishable(model, [_fact("golf", "tennis", "hockey")])

    assert "'tennis'" in str(refused.value)
    assert "'hockey'" in str(refused.value)


def test_answers_that_only_share_a_beginning_are_accepted(llama: Model, split: Split, small_split: Split) -> None:
    facts = [*split.forget, *small_split.forget]
    shared = [
        encode(llama, f.prompt, "ice hockey")[1][0] == encode(llama, f.prompt, "ice skating")[1][0] for f in facts
    ]

    refuse_indistinguishable(llama, facts)

    assert all(shared)
    with pytest.raises(UsageError):
        refuse_indistinguishable(llama, [*facts, dataclasses.replace(_fact("ice", "ice hockey"), subject="Bo")])
