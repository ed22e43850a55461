"""Our `lm` finds what lm-eval's own `HFLM` finds, for every family and every way of asking."""

import math
from importlib.metadata import version

import numpy as np
import pytest
import torch

from unlearnbench.errors import UsageError
from unlearnbench.lm_eval_bridge.scorer import SharedPrefixLM
from unlearnbench.lm_eval_bridge.sharing import Wanted, batches, shared
from unlearnbench.model.model import Model

from .hflm import assert_equal, hflm, requests_of
from .own_lm_eval_task import request

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning:lm_eval.*")

PAIRS = [
    ("Fact: Ann Lee plays the sport of", " football"),
    ("Fact: Ann Lee plays the sport of", " ice hockey"),
    ("Fact: Ann Lee plays the sport of", " ice skating on the frozen lake"),
    ("Fact: Ann Lee plays the sport of", " football"),  # again
    ("Fact: Ann Lee plays the sport of ", "golf"),  # the space belongs to the continuation
    ("Fact: Ann Lee plays the  \n", "sport"),
    ("Fact:", " Ann Lee plays the sport of golf"),  # contains other contexts
    ("The sport of Bo Rodgers is", " tennis"),
    ("", "Today is a day"),
    ("Today", "'s"),  # no space between the two
]


# -- the same numbers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("add_bos_token", [None, True, False])
def test_answers_are_those_of_hflm_with_and_without_bos(model: Model, add_bos_token: bool | None) -> None:
    theirs = hflm(model, add_bos_token=add_bos_token)

    ours = SharedPrefixLM(model, 4, add_bos_token=add_bos_token)

    assert_equal(ours.loglikelihood(requests_of(PAIRS)), theirs.loglikelihood(requests_of(PAIRS), disable_tqdm=True))


def test_a_bos_that_the_prompt_writes_out_is_not_doubled(llama: Model) -> None:
    bos = llama.tokenizer.bos_token
    pairs = [(f"{bos}Fact: Ann", " football"), (f"{bos}", "Today"), ("", f"{bos}Today"), ("Fact: Ann", " football")]

    ours = SharedPrefixLM(llama).loglikelihood(requests_of(pairs))

    assert_equal(ours, hflm(llama).loglikelihood(requests_of(pairs), disable_tqdm=True))
    assert ours[0] == pytest.approx(ours[3], abs=1e-5)  # this tokenizer adds the same BOS by itself


def test_a_greedy_continuation_is_found_to_be_greedy(model: Model) -> None:
    context = "Fact: Ann Lee plays"
    ids = torch.tensor([model.tokenizer(context).input_ids])
    with torch.no_grad():
        best = int(model.network(input_ids=ids).logits[0, -1].argmax())
    lm = SharedPrefixLM(model)

    answers = lm._loglikelihood_tokens([(None, ids[0].tolist(), [token]) for token in range(len(model.tokenizer))])

    assert [i for i, (_, greedy) in enumerate(answers) if greedy] == [best]
    assert sum(math.exp(value) for value, _ in answers) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("room", [0, 3])
def test_contexts_that_are_too_long_lose_their_beginning(model: Model, room: int) -> None:
    encoded = SharedPrefixLM(model)._encode(PAIRS)
    max_length = max(len(continuation) for _, _, continuation in encoded) + room

    ours = SharedPrefixLM(model, max_length=max_length)

    answers = ours.loglikelihood(requests_of(PAIRS))
    assert_equal(answers, hflm(model, max_length=max_length).loglikelihood(requests_of(PAIRS), disable_tqdm=True))
    assert ours.truncated > 0


def test_rolling_likelihoods_are_those_of_hflm(model: Model) -> None:
    texts = ["Fact: Ann Lee plays the sport of football. " * 5, "Today"]
    before: tuple[str, ...] = () if version("lm-eval") < "0.5" else ("",)
    requests = [request("loglikelihood_rolling", (*before, text), i) for i, text in enumerate(texts)]

    ours: object = SharedPrefixLM(model, max_length=16).loglikelihood_rolling(requests, disable_tqdm=True)

    theirs = hflm(model, max_length=16).loglikelihood_rolling(requests, disable_tqdm=True)
    # Numbers, and from 0.5 on pairs.
    assert np.ravel(np.array(ours, dtype=float)) == pytest.approx(np.ravel(np.array(theirs, dtype=float)), abs=1e-3)


def test_generated_texts_are_those_of_hflm(llama: Model) -> None:
    arguments = {"until": ["."], "max_gen_toks": 4, "do_sample": False}
    requests = [request("generate_until", (text, arguments), i) for i, text in enumerate(["Today", "Fact: Ann"])]

    ours = SharedPrefixLM(llama).generate_until(requests)

    assert ours == hflm(llama).generate_until(requests, disable_tqdm=True)


def test_answers_do_not_depend_on_the_batch_size_or_on_what_else_is_asked(model: Model) -> None:
    together = SharedPrefixLM(model, 64).loglikelihood(requests_of(PAIRS))

    apart = [SharedPrefixLM(model, 1).loglikelihood(requests_of([pair]))[0] for pair in PAIRS]

    assert_equal(together, apart)


def test_requests_with_the_same_tokens_split_at_different_places_are_told_apart(llama: Model) -> None:
    lm = SharedPrefixLM(llama)

    whole, end = lm._loglikelihood_tokens([(None, [2], [3, 4, 5]), (None, [2, 3, 4], [5])])

    assert whole[0] < end[0]
    assert end == pytest.approx(lm._loglikelihood_tokens([(None, [2, 3, 4], [5])])[0], abs=1e-5)


def test_a_continuation_that_does_not_fit_is_an_error_that_quotes_it(llama: Model) -> None:
    with pytest.raises(AssertionError, match=r"on the frozen lake': the continuation has \d+ tokens, .* takes 2"):
        SharedPrefixLM(llama, max_length=2).loglikelihood(requests_of(PAIRS[2:3]))


def test_an_empty_continuation_is_an_error_that_quotes_it(llama: Model) -> None:
    with pytest.raises(AssertionError, match=r"context 'Today', continuation ''"):
        SharedPrefixLM(llama).loglikelihood(requests_of([("Today", "")]))


def test_a_batch_of_nothing_is_refused(llama: Model) -> None:
    with pytest.raises(UsageError):
        SharedPrefixLM(llama, 0)


# -- the work is shared ---------------------------------------------------------------------------------


def test_choices_of_one_token_cost_one_sequence(llama: Model) -> None:
    lm, context = SharedPrefixLM(llama), "Fact: Ann Lee plays the sport of"
    before = llama.tokens_forward

    lm.loglikelihood(requests_of([(context, f" {game}") for game in ("golf", "tennis", "football", "golf")]))

    assert llama.tokens_forward - before == len(llama.tokenizer(context).input_ids)


def test_the_longest_sequence_stands_for_all_it_begins_with() -> None:
    wanted = [Wanted((1, 2, 3), (4,)), Wanted((1,), (2,)), Wanted((1, 2, 3), (3, 9)), Wanted((1, 3), (2,))]

    rows = shared([*wanted, wanted[0]])

    assert [row.sequence for row in rows] == [(1, 2, 3), (1, 3)]
    assert rows[0].columns == {0, 1, 2}
    assert sorted(r for row in rows for reading in row.readings for r in reading.requests) == [0, 1, 2, 3, 4]


def test_batches_hold_no_more_rows_and_logits_than_allowed() -> None:
    rows = shared([Wanted((i, 1, 2), (1, 2, 3)) for i in range(5)])

    assert [len(batch) for batch in batches(rows, 2, 100)] == [2, 2, 1]
    assert [len(batch) for batch in batches(rows, 64, 7)] == [2, 2, 1]
    assert [len(batch) for batch in batches(rows, 64, 1)] == [1, 1, 1, 1, 1]  # a row that needs more runs alone
