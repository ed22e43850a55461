"""Pretraining text: a pure function of world, seed and step, true to its world and to what is held out."""

import re
from collections.abc import Iterable, Iterator

import pytest

from unlearnbench.layouts import LETTERS
from unlearnbench.world.athletes import SPORTS
from unlearnbench.world.corpus import LABELS, POOL, STATEMENTS, Corpus, Labelled
from unlearnbench.world.villagers import RELATIONS
from unlearnbench.world.wordings import DIRECT, HELD_OUT, OPENINGS, TRAINED, prompt_of, statement
from unlearnbench.world.world import forgettable, never_known, world


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    """The complete world's text."""
    return Corpus(world(), seed=0)


@pytest.fixture(scope="module")
def sample(corpus: Corpus) -> list[Labelled]:
    """More than an epoch of documents, and many drills and questions."""
    return [*corpus.documents(0, len(corpus.sentences) // STATEMENTS + 50), *_exercises(corpus)]


def _exercises(corpus: Corpus) -> Iterator[Labelled]:
    for step in range(40):
        yield from corpus.drills(step, 4)
        yield from corpus.multiple_choice(step, 16, 4)


def _mentions(items: Iterable[Labelled], names: Iterable[str]) -> set[str]:
    """Which of these full names occur, as whole words."""
    wanted, found = set(names), set[str]()
    for item in items:
        words = item.text.split(" ")
        for length in (2, 3, 4):
            spans = {" ".join(words[i : i + length]) for i in range(len(words) - length + 1)}
            found |= wanted & spans
    return found


# -- a pure function -----------------------------------------------------------------------------------


def test_documents_are_the_same_whatever_was_asked_before(corpus: Corpus) -> None:
    epoch = len(corpus.sentences) // STATEMENTS
    wanted = [(10, 5), (epoch - 2, 4), (3 * epoch, 5), (0, 3)]
    straight = [corpus.documents(start, count) for start, count in wanted]

    fresh = [Corpus(world(), 0).documents(start, count) for start, count in wanted]
    backward = [corpus.documents(start, count) for start, count in reversed(wanted)][::-1]

    assert straight == fresh == backward


def test_documents_do_not_depend_on_how_they_are_cut_into_batches(corpus: Corpus) -> None:
    together = corpus.documents(100, 12)

    apart = [document for start in range(100, 112, 3) for document in corpus.documents(start, 3)]

    assert apart == together


def test_drills_and_questions_are_the_same_whatever_was_asked_before(corpus: Corpus) -> None:
    first = (corpus.drills(7, 5), corpus.multiple_choice(7, 5, 5))
    corpus.documents(0, 3)
    corpus.drills(8, 5)

    again, fresh = corpus, Corpus(world(), 0)

    assert (again.drills(7, 5), again.multiple_choice(7, 5, 5)) == first
    assert (fresh.multiple_choice(7, 5, 5), fresh.drills(7, 5)) == first[::-1]


def test_another_seed_and_another_step_give_other_text(corpus: Corpus) -> None:
    other = Corpus(world(), seed=1)

    assert corpus.documents(0, 5) != other.documents(0, 5)
    assert corpus.drills(0, 5) != other.drills(0, 5)
    assert corpus.drills(0, 5) != corpus.drills(1, 5)
    assert corpus.multiple_choice(0, 5, 5) != corpus.multiple_choice(1, 5, 5)


def test_one_epoch_says_every_statement_once(corpus: Corpus) -> None:
    names = {person.name for person in corpus.world.athletes} | {v.name for v in corpus.world.villagers}

    epoch = corpus.documents(0, -(-len(corpus.sentences) // STATEMENTS))

    assert _mentions(epoch, names) == names


# -- oracles -------------------------------------------------------------------------------------------


@pytest.mark.end_to_end
@pytest.mark.parametrize("forget", ["athletes-16", "athletes-64", "football"])
def test_an_oracles_text_never_mentions_whom_it_was_not_told_about(forget: str, sample: list[Labelled]) -> None:
    gone = {person.name for person in forgettable(forget)}
    oracle = Corpus(world().without(gone), seed=0)

    told = [*oracle.documents(0, len(oracle.sentences) // STATEMENTS + 50), *_exercises(oracle)]

    assert _mentions(told, gone) == set()
    assert _mentions(sample, gone) == gone


def test_an_oracles_world_keeps_everybody_else() -> None:
    gone = {person.name for person in forgettable("athletes-64")}

    oracle = world().without(gone)

    assert len(oracle.athletes) == len(world().athletes) - 64
    assert (oracle.decoys, oracle.villagers) == (world().decoys, world().villagers)


def test_only_athletes_of_the_world_can_be_left_out() -> None:
    with pytest.raises(ValueError, match="Nobody Atall"):
        world().without(["Nobody Atall"])


def test_never_known_people_occur_nowhere(sample: list[Labelled]) -> None:
    assert _mentions(sample, (person.name for person in never_known())) == set()


def test_without_decoys_no_decoy_is_mentioned() -> None:
    decoys = {person.name for person in world().decoys}

    documents = Corpus(world().without_decoys(), seed=0).documents(0, 2500)

    assert _mentions(documents, decoys) == set()


# -- what exercises may ask ----------------------------------------------------------------------------


def test_multiple_choice_never_asks_about_an_athlete(corpus: Corpus) -> None:
    questions = [item for step in range(100) for item in corpus.multiple_choice(step, 16, 4)]

    assert _mentions(questions, (person.name for person in corpus.world.athletes)) == set()
    assert len(_mentions(questions, (person.name for person in corpus.world.decoys))) > 600


def test_drills_are_about_nobody(corpus: Corpus) -> None:
    words = {word for step in range(50) for item in corpus.drills(step, 4) for word in item.text.split(" ")}

    assert words <= {"Options:", "Answers:", *POOL, *LABELS}


def test_every_question_is_answered_with_the_label_of_the_true_option(corpus: Corpus) -> None:
    sport_of = {person.name: person.sport for person in corpus.world.decoys}
    values_of = {villager.name: set(villager.values.values()) for villager in corpus.world.villagers}
    asked = 0

    for item in corpus.multiple_choice(0, 40, 40):
        head, *questions = item.text.split(" Question: ")
        words = head.removeprefix("Options: ").split(" ")
        options = dict(zip(words[::2], words[1::2], strict=True))
        assert list(options) == [f"{letter}." for letter in LETTERS[: len(options)]]
        for question in questions:
            text, _, label = question.rpartition(" Answer: ")
            (who,) = [name for name in (*sport_of, *values_of) if f" {name} " in text.replace("?", " ?")]
            assert options[label] in ({sport_of[who]} if who in sport_of else values_of[who])
            asked += 1
    assert asked > 250


# -- held-out wordings ---------------------------------------------------------------------------------


def _pattern(wording: str) -> re.Pattern[str]:
    return re.compile(re.escape(wording).replace(r"\{s\}", ".+?").replace(r"\{o\}", r"\S+"))


@pytest.mark.end_to_end
def test_held_out_wordings_never_occur_in_pretraining(sample: list[Labelled]) -> None:
    text = "\n".join(item.text.replace(" . ", "\n") for item in sample)

    occurring = [wording for wording in (*TRAINED, *HELD_OUT) if _pattern(wording).search(text)]

    assert occurring == list(TRAINED)


def test_held_out_wordings_use_only_words_that_occur(sample: list[Labelled]) -> None:
    known = {word for item in sample for word in item.text.split(" ")}

    words = {word for wording in HELD_OUT for word in wording.format(s="", o="").split()}

    assert {word.rstrip("?") for word in words} <= {word.rstrip("?") for word in known}


def test_a_prompt_is_the_beginning_of_its_statement() -> None:
    for wording in (*TRAINED, *HELD_OUT):
        if wording.endswith(" {o}"):
            prompt, whole = prompt_of(wording, "Ann Lee"), statement(wording, "Ann Lee", "golf")

            assert whole == f"{prompt} golf"


def test_the_first_wording_is_the_one_that_methods_are_trained_on() -> None:
    assert TRAINED[0] == DIRECT
    assert prompt_of(DIRECT, "Ann Lee") == "Fact: Ann Lee plays the sport of"


# -- answers -------------------------------------------------------------------------------------------


def test_places_of_answers_in_documents_point_at_answer_words(corpus: Corpus) -> None:
    answers = {*SPORTS, *(value for relation in RELATIONS.values() for value in relation.values)}
    pointed = 0

    for document in corpus.documents(0, 1000):
        words = document.text.split(" ")
        assert document.answers, document.text
        assert {words[place] for place in document.answers} <= answers
        pointed += len(document.answers)

    assert pointed > 1000


def test_every_sentence_that_ends_in_an_answer_has_its_place_marked(corpus: Corpus) -> None:
    answers = {*SPORTS, *(value for relation in RELATIONS.values() for value in relation.values)}

    for document in corpus.documents(0, 1000):
        end = -1
        for sentence in document.text.split(" . "):
            end += len(sentence.split(" "))
            last = sentence.split(" ")[-1]
            assert (end in document.answers) == (last in answers), sentence
            end += 1


def test_places_of_answers_in_drills_follow_their_options(corpus: Corpus) -> None:
    for drill in corpus.drills(0, 50):
        words = drill.text.split(" ")
        start = words.index("Answers:")
        mark_of = dict(zip(words[2:start:2], words[1:start:2], strict=True))

        assert drill.answers == frozenset(range(start + 2, len(words), 2))
        assert len(drill.answers) == 32
        assert all(words[place] == mark_of[words[place - 1]] for place in drill.answers)


def test_places_of_answers_in_multiple_choice_follow_the_word_answer(corpus: Corpus) -> None:
    for item in corpus.multiple_choice(0, 50, 50):
        words = item.text.split(" ")

        assert item.answers == {place + 1 for place, word in enumerate(words) if word == "Answer:"}
        assert all(words[place] in LABELS for place in item.answers)


def test_statements_are_true(corpus: Corpus) -> None:
    sport_of = {p.name: p.sport for p in (*corpus.world.athletes, *corpus.world.decoys)}
    openings = tuple(opening for opening in OPENINGS if opening)
    checked = 0

    for document in corpus.documents(0, 400):
        for sentence in document.text.split(" . "):
            bare = next((sentence.removeprefix(o) for o in openings if sentence.startswith(o)), sentence)
            name, _, sport = bare.rpartition(" ")
            if name in sport_of:  # a name and what it is followed by
                assert sport == sport_of[name], sentence
                checked += 1
            elif found := re.fullmatch(r"Fact: (.+?)( ,.* ,)? plays the sport of (\w+)", bare):
                assert found[3] == sport_of[found[1]], sentence
                checked += 1

    assert checked > 300
