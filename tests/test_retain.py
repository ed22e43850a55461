"""The retain stream says nothing of what is forgotten, and is measured on documents that nobody trains on."""

from pathlib import Path

import pytest

from unlearnbench.editing.retain import TEST_TEXTS, TRAIN_TEXTS, load_retain
from unlearnbench.errors import UsageError
from unlearnbench.facts import Split
from unlearnbench.model.model import Model
from unlearnbench.tasks.facts.counterfact import CounterFact
from unlearnbench.tasks.facts.sports import Sports


@pytest.fixture(scope="module", params=[Sports("people-64"), CounterFact("64")], ids=lambda facts: facts.label)
def cut(request: pytest.FixtureRequest) -> Split:
    """A split of each fact set of the world."""
    return request.param.split(0)  # type: ignore[no-any-return]


def _texts(model: Model, ids: list[list[int]]) -> list[str]:
    return [model.tokenizer.decode(row, skip_special_tokens=True).strip() for row in ids]


def test_the_worlds_text_never_states_a_fact_to_forget(llama: Model, cut: Split) -> None:
    retain = load_retain(llama, "world", cut)

    for text in _texts(llama, [*retain.train, *retain.test]):
        for sentence in text.split(" . "):
            words = sentence.split(" ")
            stated = [f for f in cut.forget if f.subject in sentence and f.answer in words]
            assert not stated, sentence


def test_what_is_trained_on_never_states_a_kept_fact_that_is_asked(llama: Model, cut: Split) -> None:
    retain = load_retain(llama, "world", cut)

    def stated(texts: list[str]) -> int:
        sentences = [sentence for text in texts for sentence in text.split(" . ")]
        return sum(f.subject in s and f.answer in s.split(" ") for s in sentences for f in cut.maintain_test)

    assert stated(_texts(llama, list(retain.train))) == 0
    assert stated(_texts(llama, list(retain.test))) > 0


def test_documents_to_measure_on_are_others_than_those_to_train_on(llama: Model, cut: Split) -> None:
    retain = load_retain(llama, "world", cut)

    assert (len(retain.train), len(retain.test)) == (TRAIN_TEXTS, TEST_TEXTS)
    assert not {tuple(text) for text in retain.train} & {tuple(text) for text in retain.test}


def test_the_people_who_are_kept_are_in_it(llama: Model) -> None:
    split = Sports("people-64").split(0)
    texts = " ".join(_texts(llama, list(load_retain(llama, "world", split).train)))

    named = [fact for fact in split.maintain_train if fact.subject in texts]
    assert len(named) > 0.8 * len(split.maintain_train)


def test_texts_of_a_file_that_mention_a_subject_to_forget_are_dropped(
    llama: Model, split: Split, tmp_path: Path
) -> None:
    path, subject = tmp_path / "text.txt", split.forget[0].subject
    lines = [f"Report {i} of the town" for i in range(2 * TEST_TEXTS)]
    path.write_text("\n".join([*lines, *[f"{subject} was seen"] * 50]))
    retain = load_retain(llama, str(path), split)

    assert len(retain.train) + len(retain.test) == len(lines)
    path.write_text("\n".join([*lines[1:], *[f"{subject} was seen"] * 50]))
    with pytest.raises(UsageError, match="127 texts about other subjects"):
        load_retain(llama, str(path), split)
