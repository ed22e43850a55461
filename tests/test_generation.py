"""Free text: it is what the model would write, and it is measured as its names say."""

import math
from contextlib import nullcontext

import pytest
import torch
from rouge_score.rouge_scorer import RougeScorer

from unlearnbench.facts import Fact
from unlearnbench.generating import _written, greedy
from unlearnbench.mentions import stands_in
from unlearnbench.model import Model
from unlearnbench.retain import RetainText
from unlearnbench.split import Split
from unlearnbench.task import Examination
from unlearnbench.tasks.generation import Generation, fluency, rouge_recall

PROMPTS = ["Fact: Ann Lee plays the sport of", "Ann Lee", "Note: Bo", "Fact: Bo Lee plays the sport of", "Cy Young"]


@torch.no_grad()
def test_the_text_is_what_hugging_face_generates_greedily(model: Model) -> None:
    written = greedy(model, PROMPTS, 12, batch_size=64)

    for prompt, text in zip(PROMPTS, written, strict=True):
        ids = torch.tensor([model.tokenizer(prompt).input_ids])
        whole = model.network.generate(ids, do_sample=False, max_new_tokens=12, attention_mask=torch.ones_like(ids))
        assert text == model.tokenizer.decode(whole[0, ids.shape[1] :], skip_special_tokens=True)


def test_a_text_does_not_depend_on_its_company(model: Model) -> None:
    together = greedy(model, PROMPTS, 8, batch_size=64)

    assert together == greedy(model, PROMPTS, 8, batch_size=1)
    assert together == list(reversed(greedy(model, PROMPTS[::-1], 8, batch_size=2)))


def test_a_text_ends_at_the_end_of_text_and_others_of_its_batch_go_on(llama: Model) -> None:
    prompts = ["Ann Lee plays", "Bob Lee plays", "Ann Lee is", "Bob Lee is"]
    lengths = [len(llama.tokenizer(prompt).input_ids) for prompt in prompts]
    prompts = [p for p, length in zip(prompts, lengths, strict=True) if length == lengths[0]][:2]
    assert len(prompts) == 2, "they must share a batch"
    texts = _written(llama, [list(llama.tokenizer(prompt).input_ids) for prompt in prompts], 6)
    end = next(token for token in texts[0] if token not in texts[1])
    before = llama.tokenizer.eos_token
    try:
        llama.tokenizer.eos_token = llama.tokenizer.convert_ids_to_tokens(end)
        ended = greedy(llama, prompts, 6, batch_size=64)
    finally:
        llama.tokenizer.eos_token = before

    assert ended[0] == llama.tokenizer.decode(texts[0][: texts[0].index(end)])
    assert len(llama.tokenizer.decode(texts[0])) > len(ended[0])
    assert ended[1] == greedy(llama, prompts, 6, batch_size=64)[1]


@pytest.mark.parametrize(
    ("text", "answer", "says"),
    [
        ("he plays ice hockey.", "ice hockey", True),
        ("ICE HOCKEY", "ice hockey", True),
        ("(golf)", "golf", True),
        ("golfing", "golf", False),
        ("minigolf", "golf", False),
        ("ice-cold hockey", "ice hockey", False),
        ("C++ is", "C++", True),
        ("in São Paulo,", "São Paulo", True),
        ("", "golf", False),
    ],
)
def test_an_answer_is_said_as_words_of_its_own(text: str, answer: str, says: bool) -> None:
    assert stands_in(text, answer) is says


@pytest.mark.parametrize("text", ["ice hockey", "the hockey on ice", "a man played hockey", "football", ""])
def test_recall_is_the_share_of_the_answers_words_in_order(text: str) -> None:
    expected = RougeScorer(["rougeL"]).score("ice hockey", text)["rougeL"].recall
    assert rouge_recall(text, "ice hockey") == expected


def test_recall_counts_words_in_order() -> None:
    assert rouge_recall("they like ice hockey best", "ice hockey") == 1.0
    assert rouge_recall("hockey on ice", "ice hockey") == 0.5
    assert rouge_recall("golf", "ice hockey") == 0.0


def test_one_word_again_and_again_has_no_fluency() -> None:
    assert fluency("golf " * 30) == 0.0


@pytest.mark.parametrize("words", [3, 10, 33])
def test_words_that_never_repeat_have_the_entropy_of_as_many_different_pairs(words: int) -> None:
    text = " ".join(f"w{i}" for i in range(words))
    expected = (2 / 3 * math.log2(words - 1) + 4 / 3 * math.log2(words - 2)) / 2
    assert fluency(text) == pytest.approx(expected)


def test_fluency_of_a_counted_example() -> None:
    # Bigrams of a b a b a: ab, ba, ab, ba. Trigrams: aba, bab, aba.
    trigrams = -(2 / 3 * math.log2(2 / 3) + 1 / 3 * math.log2(1 / 3))
    assert fluency("a b a b a") == pytest.approx((2 / 3 * 1.0 + 4 / 3 * trigrams) / 2)


def test_texts_too_short_for_pairs_have_no_fluency() -> None:
    assert fluency("") == fluency("golf") == 0.0


def test_every_opening_is_continued_and_the_answers_are_searched_in_what_was_written(
    llama: Model, small_split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    fact = Fact("Ann Lee", "game", "Ann Lee plays", "golf", ("football",), "football", openings=("Ann Lee said",))
    split = Split([fact], list(small_split.held_out), list(small_split.maintain_train), (), ())
    said: dict[str, str] = {"Ann Lee plays": "golf and golf", "Ann Lee said": "no to football"}

    def write(model: Model, prompts: list[str], new_tokens: int, batch_size: int) -> list[str]:
        assert (new_tokens, batch_size) == (5, 3)
        return [said.get(prompt, "nothing") for prompt in prompts]

    monkeypatch.setattr("unlearnbench.tasks.generation.greedy", write)
    rows = Generation(new_tokens=5).rows(llama, Examination(split, 3, RetainText([], []), nullcontext))
    mine = {row.text: row.values for row in rows if row.cluster == "Ann Lee"}

    assert mine["golf and golf"]["contains"] == 1.0
    assert mine["golf and golf"]["contains_edit"] == 0.0
    assert mine["no to football"]["contains"] == 0.0
    assert mine["no to football"]["contains_edit"] == 1.0
    assert all(row.values["contains"] == 0.0 for row in rows if row.text == "nothing")


def test_what_is_written_stands_in_the_item_log(llama: Model, small_split: Split) -> None:
    rows = Generation(new_tokens=4).rows(llama, Examination(small_split, 8, RetainText([], []), nullcontext))

    assert [row.text for row in rows] == greedy(
        llama, [f.prompt for f in (*small_split.forget, *small_split.maintain_test)], 4, 8
    )
