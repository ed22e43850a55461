"""The planted CounterFact and the school: of the real sets' form and size, and true to the world."""

import re
from collections import Counter
from pathlib import Path

import pytest

from unlearnbench.counterfact.rome import parse
from unlearnbench.mentions import stands_in
from unlearnbench.mmlu import CHOICES, Question, read_folder
from unlearnbench.organisms.athletes import athletes
from unlearnbench.organisms.corpus import STATEMENTS, Corpus
from unlearnbench.organisms.planted import FIRST, KINDS, first_things, never_known, records, things
from unlearnbench.organisms.school import DEV, FOLDER, SUBJECTS, exam, lessons, write_hub
from unlearnbench.organisms.wordings import OPENINGS
from unlearnbench.organisms.world import names_in, world
from unlearnbench.plan import parse_facts
from unlearnbench.source import locate

# -- things ----------------------------------------------------------------------------------------------


def test_there_are_eight_relations_and_three_hundred_subjects() -> None:
    assert len({kind.id for kind in KINDS}) == len(KINDS) >= 8
    assert len({thing.name for thing in things().facts}) >= 300
    assert Counter(thing.kind.id for thing in things().facts) == {kind.id: 40 for kind in KINDS}


def test_every_thing_has_a_name_of_its_own_and_nobody_elses() -> None:
    found = things()
    everything = [thing.name for thing in (*found.facts, *found.decoys, *found.never_known)]
    people = {person.name for person in (*athletes(), *world().decoys)} | {v.name for v in world().villagers}

    assert len(set(everything)) == len(everything)
    assert not set(everything) & people


def test_answers_of_a_relation_are_equally_common_so_that_the_commonest_is_no_guess() -> None:
    for kind in KINDS:
        for group in (things().facts, first_things(64), things().never_known):
            counts = Counter(thing.answer for thing in group if thing.kind is kind)
            assert max(counts.values()) - min(counts[value] for value in kind.values) <= 1


def test_no_word_of_a_name_gives_the_answer_away() -> None:
    found = things()
    for kind in KINDS:
        members = [thing for thing in (*found.facts, *found.decoys) if thing.kind is kind]
        for noun in kind.nouns:
            answers = Counter(thing.answer for thing in members if thing.name.endswith(noun))
            assert max(answers.values()) <= 0.75 * answers.total(), noun


def test_smaller_forget_sets_are_the_beginnings_of_larger_ones_and_spread_over_the_relations() -> None:
    assert first_things(64)[:16] == first_things(16)
    assert Counter(thing.kind.id for thing in first_things(64)) == {kind.id: 8 for kind in KINDS}
    assert names_in("counterfact:64") == tuple(thing.name for thing in first_things(64))
    with pytest.raises(ValueError, match="there are 320 planted facts, not 321"):
        first_things(321)


@pytest.mark.parametrize("made", [records(), never_known()], ids=["facts", "never known"])
def test_the_records_are_read_by_the_code_that_reads_romes(made: tuple[dict[str, object], ...]) -> None:
    parsed = parse(made, "the planted CounterFact")

    assert len(parsed) == len(made)
    for record in parsed:
        kind = next(kind for kind in KINDS if kind.id == record.relation_id)
        assert record.prompt == record.template.replace("{}", record.subject)
        assert {record.target_true, record.target_new} <= set(kind.values)
        assert record.paraphrase_prompts
        assert record.generation_prompts


def test_neighbours_have_the_same_answer_and_attribute_prompts_the_edits() -> None:
    answers = {thing.name: thing.answer for thing in things().decoys}
    for record in parse(records(), "the planted CounterFact"):
        for prompts, wanted in (
            (record.neighborhood_prompts, record.target_true),
            (record.attribute_prompts, record.target_new),
        ):
            assert prompts
            for prompt in prompts:
                assert answers[next(name for name in answers if stands_in(prompt, name))] == wanted


def test_every_planted_fact_can_be_used() -> None:
    counts = parse_facts("counterfact:64", locate("tiny", {}, None).source).counts()
    assert set(counts.values()) == {320, 64}


def test_held_out_wordings_are_no_trained_ones_and_name_the_subject_once() -> None:
    for kind in KINDS:
        assert not set(kind.held_out) & set(kind.wordings)
        for wording in (*kind.held_out, *kind.wordings):
            assert wording.count("{s}") == wording.count("{o}") == 1
            assert wording.endswith(" {o}")


# -- what pretraining reads of them ----------------------------------------------------------------------


def told(corpus: Corpus) -> list[str]:
    """The sentences of more than an epoch of documents, and many exercises."""
    documents = corpus.documents(0, len(corpus.sentences) // STATEMENTS + 50)
    exercises = [
        text
        for step in range(30)
        for text in (
            *corpus.drills(step, 2),
            *corpus.multiple_choice(step, 4, 4, 16),
            *corpus.exams(step, 36),
            *corpus.exam_drills(step, 2),
        )
    ]
    return [sentence for text in (*documents, *exercises) for sentence in text.text.split(" . ")]


@pytest.fixture(scope="module")
def everything() -> list[str]:
    """Of the complete world."""
    return told(Corpus(world(), seed=0))


def named(sentences: list[str], names: set[str]) -> set[str]:
    """Which of these names stand in the sentences as words of their own, whatever mark follows them."""
    pairs = re.compile(rf"\b(?:{'|'.join(FIRST)}) [A-Z][a-z]+\b")
    return {found for sentence in sentences for found in pairs.findall(sentence)} & names


def test_nothing_was_ever_written_about_never_known_things(everything: list[str]) -> None:
    found = things()
    known = {thing.name for thing in (*found.facts, *found.decoys)}

    assert named(everything, {thing.name for thing in found.never_known}) == set()
    assert named(everything, known) == known


def test_an_oracle_reads_no_sentence_about_what_is_to_be_forgotten(everything: list[str]) -> None:
    gone = set(names_in("counterfact:64"))
    kept = {thing.name for thing in (*things().facts, *things().decoys)} - gone

    read = told(Corpus(world().without(gone), seed=0))

    assert named(everything, gone) == gone
    assert named(read, gone) == set()
    assert named(read, kept) == kept


def test_every_trained_wording_is_a_sentence_of_the_text_and_no_held_out_one_is(everything: list[str]) -> None:
    openings = "|".join(map(re.escape, OPENINGS))
    for kind in KINDS:
        name = rf"(?:{'|'.join(FIRST)}) (?:{'|'.join(kind.nouns)})(?: ,[^.]* ,)?"
        mine = [sentence for sentence in everything if any(noun in sentence for noun in kind.nouns)]
        for wording in (*kind.wordings, *kind.held_out):
            before, between, _ = (re.escape(part) for part in re.split(r"\{s\}|\{o\}", wording))
            form = re.compile(rf"(?:{openings}){before}{name}{between}(?:{'|'.join(kind.values)})")
            assert any(map(form.fullmatch, mine)) is (wording in kind.wordings), wording


# -- school ----------------------------------------------------------------------------------------------


def test_there_are_six_subjects_and_two_hundred_questions_each_about_a_fact_of_its_own() -> None:
    questions = [question for parts in exam().values() for question in parts["test"]]

    assert len(exam()) == len(SUBJECTS) >= 6
    assert len(questions) == len({question.question for question in questions}) >= 200
    assert all(len(parts["dev"]) == DEV for parts in exam().values())
    assert len({lesson.name for lesson in lessons()}) == len(lessons())


def test_right_answers_are_true_and_no_letter_is_right_much_more_often() -> None:
    truth = {lesson.question: lesson.answer for lesson in lessons()}
    letters = Counter[int]()
    for parts in exam().values():
        for question in (*parts["dev"], *parts["test"]):
            assert question.choices[question.answer] == truth[question.question]
            assert len(set(question.choices)) == CHOICES
            letters[question.answer] += 1
    assert max(letters.values()) < 0.35 * letters.total()


def test_the_files_that_ship_are_what_the_generator_writes(tmp_path: Path) -> None:
    write_hub(tmp_path)

    written = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {path.relative_to(FOLDER) for path in FOLDER.rglob("*") if path.is_file()}
    assert read_folder(tmp_path) == read_folder(FOLDER)
    assert (tmp_path / "README.md").read_text() == (FOLDER / "README.md").read_text()


def test_the_files_are_in_the_layout_of_the_hub_and_read_by_the_code_that_reads_mmlu() -> None:
    assert read_folder(FOLDER) == {
        subject: {split: [Question(*question) for question in questions] for split, questions in parts.items()}
        for subject, parts in exam().items()
    }


def test_the_layout_is_one_that_the_datasets_library_reads_by_subject() -> None:
    import datasets

    subject = SUBJECTS[0].name
    found = datasets.load_dataset(str(FOLDER), subject, split="test")
    assert found["question"] == [question.question for question in exam()[subject]["test"]]
    assert found.features["choices"].feature.dtype == "string"
