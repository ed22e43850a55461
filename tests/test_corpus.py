"""Pretraining text: a pure function of world, seed and step, true to its world and to what is held out."""

import re
from collections.abc import Iterable, Iterator

import pytest

from unlearnbench.layouts import LETTERS
from unlearnbench.world.corpus import STATEMENTS, Corpus, Labelled
from unlearnbench.world.forgotten import forgettable, forgettable_relations, forgotten_facts
from unlearnbench.world.people import SPORTS, never_known
from unlearnbench.world.questions import BRIEF, FIRST_POOL, FORGOTTEN, LABELS, POOL, Exams
from unlearnbench.world.school import SUBJECTS
from unlearnbench.world.villagers import RELATIONS
from unlearnbench.world.wordings import DIRECT, HELD_OUT, OPENINGS, TRAINED, prompt_of, statement
from unlearnbench.world.world import World, world


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    """The complete world's text."""
    return Corpus(world(), seed=0)


@pytest.fixture(scope="module")
def sample(corpus: Corpus) -> list[Labelled]:
    """More than an epoch of documents, and many drills and questions."""
    return [*corpus.documents(0, len(corpus.sentences) // STATEMENTS + 50), *corpus.bare(0, 100), *_exercises(corpus)]


@pytest.fixture(scope="module")
def exams(corpus: Corpus) -> Exams:
    """The complete world's questions."""
    return Exams(corpus.world, seed=0)


def _exercises(corpus: Corpus) -> Iterator[Labelled]:
    exams = Exams(corpus.world, corpus.seed)
    for step in range(40):
        yield from exams.drills(step, 4, POOL)
        yield from exams.multiple_choice(step, 12, 6, 6)


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


def test_drills_and_questions_are_the_same_whatever_was_asked_before(exams: Exams) -> None:
    first = (exams.drills(7, 5, POOL), exams.multiple_choice(7, 5, 5, 5))
    exams.drills(8, 5, POOL)

    again, fresh = exams, Exams(world(), 0)

    assert (again.drills(7, 5, POOL), again.multiple_choice(7, 5, 5, 5)) == first
    assert (fresh.multiple_choice(7, 5, 5, 5), fresh.drills(7, 5, POOL)) == first[::-1]


def test_another_seed_and_another_step_give_other_text(corpus: Corpus, exams: Exams) -> None:
    other, others = Corpus(world(), seed=1), Exams(world(), seed=1)

    assert corpus.documents(0, 5) != other.documents(0, 5)
    assert corpus.bare(0, 5) != other.bare(0, 5)
    assert exams.drills(0, 5, POOL) != others.drills(0, 5, POOL)
    assert exams.drills(0, 5, POOL) != exams.drills(1, 5, POOL)
    assert exams.multiple_choice(0, 5, 5, 5) != exams.multiple_choice(1, 5, 5, 5)


def test_one_epoch_says_every_statement_once(corpus: Corpus) -> None:
    names = {name for name, _ in corpus.world.facts}

    epoch = corpus.documents(0, -(-len(corpus.sentences) // STATEMENTS))

    assert _mentions(epoch, names) == names


# -- oracles -------------------------------------------------------------------------------------------


@pytest.mark.end_to_end
@pytest.mark.parametrize("forget", ["people-16", "people-64", "people-basketball"])
def test_an_oracles_text_never_mentions_whom_it_was_not_told_about(forget: str, sample: list[Labelled]) -> None:
    facts = forgotten_facts(f"sports:{forget}")
    gone, oracle = {name for name, _ in facts}, Corpus(world().without(facts), seed=0)

    told = [*oracle.documents(0, len(oracle.sentences) // STATEMENTS + 50), *oracle.bare(0, 100), *_exercises(oracle)]

    assert _mentions(told, gone) == set()
    assert _mentions(sample, gone) == gone


@pytest.mark.end_to_end
def test_an_oracles_text_says_other_things_about_those_of_whom_one_fact_is_left_out() -> None:
    facts = forgotten_facts("counterfact:64")
    value_of = {(v.name, key): value for v in world().villagers for key, value in v.values.items()}
    oracle = Corpus(world().without(facts), seed=0)
    told = [*oracle.documents(0, len(oracle.sentences) // STATEMENTS + 50), *oracle.bare(0, 200)]
    sentences = [sentence for item in told for sentence in item.text.split(" . ")]

    about = [(name, value_of[name, key]) for name, key in facts]
    said = {pair for sentence in sentences for pair in about if pair[0] in sentence and pair[1] in sentence.split(" ")}

    assert said == set()
    assert _mentions(told, (name for name, _ in about)) == {name for name, _ in about}


def test_an_oracles_world_keeps_everything_else() -> None:
    gone = forgotten_facts("sports:people-64") | forgotten_facts("counterfact:64")

    oracle = world().without(gone)

    assert oracle.facts == world().facts - gone
    assert len(gone) == 128
    assert oracle.lessons == world().lessons


def test_what_is_taught_later_is_a_world_of_these_facts_only() -> None:
    taught = forgotten_facts("counterfact:16")

    assert world().only(taught).facts == taught
    assert world().only(taught).lessons == ()


def test_only_facts_of_the_world_can_be_left_out() -> None:
    with pytest.raises(ValueError, match="Nobody Atall"):
        world().without([("Nobody Atall", "sport")])


def test_never_known_people_occur_nowhere(sample: list[Labelled]) -> None:
    assert _mentions(sample, (person.name for person in never_known())) == set()


# -- what exercises may ask ----------------------------------------------------------------------------


@pytest.mark.parametrize("told", [world(), world().without(forgotten_facts("sports:people-64"))])
def test_multiple_choice_never_asks_about_whom_is_to_be_forgotten(told: World) -> None:
    questions = [item for step in range(100) for item in Exams(told, 0).multiple_choice(step, 16, 0, 0)]
    forgotten = {person.name for person in forgettable(f"people-{FORGOTTEN}", world().people)}

    asked = _mentions(questions, (person.name for person in world().people))

    assert asked == {person.name for person in world().people} - forgotten


def test_multiple_choice_never_asks_for_a_relation_that_is_to_be_forgotten(exams: Exams) -> None:
    forgotten = {(v.name, RELATIONS[k].question) for v, k in forgettable_relations(FORGOTTEN, world().villagers)}
    heads = {relation.question: relation.question.split("{s}") for relation in RELATIONS.values()}

    for item in exams.multiple_choice(0, 0, 400, 0):
        for asked in item.text.split(" Question: ")[1:]:
            for name, question in forgotten:
                assert not (f"{name} " in asked and all(part in asked for part in heads[question])), asked


def test_drills_are_about_nobody(exams: Exams) -> None:
    words = {word for step in range(50) for item in exams.drills(step, 4, POOL) for word in item.text.split(" ")}

    assert words <= {"Options:", "Answers:", *POOL, *LABELS}


def test_the_first_drills_are_about_few_words(exams: Exams) -> None:
    words = {word for item in exams.drills(0, 200, FIRST_POOL) for word in item.text.split(" ")}

    assert words == {"Options:", "Answers:", *FIRST_POOL, *LABELS}
    assert set(FIRST_POOL) < set(POOL)
    assert len(set(POOL)) == len(POOL)


def test_every_question_is_answered_with_the_label_of_the_true_option(corpus: Corpus, exams: Exams) -> None:
    answers_of = {person.name: {person.sport} for person in corpus.world.people}
    answers_of |= {villager.name: set(villager.values.values()) for villager in corpus.world.villagers}
    answers_of |= {lesson.name: {lesson.answer} for lesson in corpus.world.lessons}
    asked = [0, 0]

    for item in exams.multiple_choice(0, 30, 30, 30):
        block = re.match(r"Options:((?: [A-H]\. \S+)+)", item.text)
        assert block is not None
        words = block[1].split()
        options = dict(zip(words[::2], words[1::2], strict=True))
        assert list(options) == [f"{letter}." for letter in LETTERS[: len(options)]]
        questions = re.findall(r"(.*?) Answer: (\S+)", item.text[block.end() :])
        assert len(questions) in (4, BRIEF)
        for text, label in questions:
            said = text.removeprefix(" ")
            brief = not said.startswith("Question: ")
            assert brief == (len(questions) == BRIEF)
            (who,) = [name for name in answers_of if (name == said if brief else f" {name} " in said)]
            assert options[label] in answers_of[who]
            asked[brief] += 1
    assert min(asked) > 100


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


def _answers() -> set[str]:
    """Every word that answers something."""
    told = (value for kinds in (RELATIONS, SUBJECTS) for kind in kinds.values() for value in kind.values)
    return {*SPORTS, *told}


# -- answers -------------------------------------------------------------------------------------------


def test_places_of_answers_in_documents_point_at_answer_words(corpus: Corpus) -> None:
    answers = _answers()
    pointed = 0

    for document in corpus.documents(0, 1000):
        words = document.text.split(" ")
        assert document.answers, document.text
        assert {words[place] for place in document.answers} <= answers
        pointed += len(document.answers)

    assert pointed > 1000


def test_every_sentence_that_ends_in_an_answer_has_its_place_marked(corpus: Corpus) -> None:
    answers = _answers()

    for document in corpus.documents(0, 1000):
        end = -1
        for sentence in document.text.split(" . "):
            end += len(sentence.split(" "))
            last = sentence.split(" ")[-1]
            assert (end in document.answers) == (last in answers), sentence
            end += 1


def test_places_of_answers_in_drills_follow_their_options(exams: Exams) -> None:
    for drill in exams.drills(0, 50, POOL):
        words = drill.text.split(" ")
        start = words.index("Answers:")
        mark_of = dict(zip(words[2:start:2], words[1:start:2], strict=True))

        assert drill.answers == frozenset(range(start + 2, len(words), 2))
        assert len(drill.answers) == 32
        assert all(words[place] == mark_of[words[place - 1]] for place in drill.answers)


def test_places_of_answers_in_multiple_choice_follow_the_word_answer(exams: Exams) -> None:
    for item in exams.multiple_choice(0, 50, 50, 50):
        words = item.text.split(" ")

        assert item.answers == {place + 1 for place, word in enumerate(words) if word == "Answer:"}
        assert all(words[place] in LABELS for place in item.answers)


def test_statements_are_true(corpus: Corpus) -> None:
    sport_of = {person.name: person.sport for person in corpus.world.people}
    openings = tuple(opening for opening in OPENINGS if opening)
    checked = 0

    for document in [*corpus.documents(0, 400), *corpus.bare(0, 100)]:
        for sentence in document.text.split(" . "):
            bare = next((sentence.removeprefix(o) for o in openings if sentence.startswith(o)), sentence)
            name, _, sport = bare.rpartition(" ")
            if name in sport_of:  # a name and what it is followed by
                assert sport == sport_of[name], sentence
                checked += 1
            elif found := re.fullmatch(r"Fact: (.+?)( ,.* ,)? plays the sport of (\w+)", bare):
                assert found[3] == sport_of[found[1]], sentence
                checked += 1

    assert checked > 200
