"""Free text: it is searched and measured as the names say. What is written is tested with `model/generating.py`."""

import math

import pytest
from rouge_score.rouge_scorer import RougeScorer

from unlearnbench.asking.place import AskingPlace
from unlearnbench.facts import Fact, Split
from unlearnbench.mentions import stands_in
from unlearnbench.model.model import Model
from unlearnbench.model.reading import tokens_of
from unlearnbench.tasks.generation import Generation, entropy, rouge_recall


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
def test_an_answer_is_said_as_words_of_its_own(text: str, answer: str, *, says: bool) -> None:
    assert stands_in(text, answer) is says


@pytest.mark.parametrize("text", ["ice hockey", "the hockey on ice", "a man played hockey", "football", ""])
def test_recall_is_the_share_of_the_answers_words_in_order(text: str) -> None:
    expected = RougeScorer(["rougeL"]).score("ice hockey", text)["rougeL"].recall
    assert rouge_recall(text, "ice hockey") == expected


def test_recall_counts_words_in_order() -> None:
    assert rouge_recall("they like ice hockey best", "ice hockey") == 1.0
    assert rouge_recall("hockey on ice", "ice hockey") == 0.5
    assert rouge_recall("golf", "ice hockey") == 0.0


def test_one_word_again_and_again_has_no_entropy() -> None:
    assert entropy("golf " * 30) == 0.0


@pytest.mark.parametrize("words", [3, 10, 33])
def test_words_that_never_repeat_have_the_entropy_of_as_many_different_pairs(words: int) -> None:
    text = " ".join(f"w{i}" for i in range(words))
    expected = (2 / 3 * math.log2(words - 1) + 4 / 3 * math.log2(words - 2)) / 2
    assert entropy(text) == pytest.approx(expected)


def test_entropy_of_a_counted_example() -> None:
    # Bigrams of a b a b a: ab, ba, ab, ba. Trigrams: aba, bab, aba.
    trigrams = -(2 / 3 * math.log2(2 / 3) + 1 / 3 * math.log2(1 / 3))
    assert entropy("a b a b a") == pytest.approx((2 / 3 * 1.0 + 4 / 3 * trigrams) / 2)


def test_texts_too_short_for_pairs_have_no_entropy() -> None:
    assert entropy("") == entropy("golf") == 0.0


def test_every_opening_is_continued_and_the_answers_are_searched_in_what_was_written(
    llama: Model, small_split: Split, asking: AskingPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    fact = Fact("Ann Lee", "game", "Ann Lee plays", "golf", ("football",), "football", openings=("Ann Lee said",))
    split = Split([fact], small_split.relearn_test, small_split.maintain_train, (), small_split.maintain_test)
    said = {"Ann Lee plays": "golf and golf", "Ann Lee said": "no to football"}
    texts = {tuple(tokens_of(llama, prompt)): tokens_of(llama, text) for prompt, text in said.items()}
    nothing = tokens_of(llama, "nothing")

    def write(model: Model, prompts: list[list[int]], tokens: int, batch_size: int) -> list[list[int]]:
        assert tokens == 5
        return [texts.get(tuple(prompt), nothing) for prompt in prompts]

    monkeypatch.setattr("unlearnbench.tasks.generation.continued", write)
    rows = Generation(tokens=5).rows(llama, split, asking)
    own, opening = ({row.item: row.values for row in rows}[f"{fact.id}#opening-{n}"] for n in (0, 1))

    assert (own["contains"], own["contains_edit"]) == (1.0, 0.0)
    assert (opening["contains"], opening["contains_edit"]) == (0.0, 1.0)
    assert all(row.values["contains"] == 0.0 for row in rows if row.cluster != "Ann Lee")
