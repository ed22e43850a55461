"""CounterFact as a fact set: from records to facts that can be asked fairly, and from facts to splits."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from unlearnbench.counterfact.facts import MOST_CHOICES, OPTIONS, converted, twins
from unlearnbench.counterfact.record import CounterFactRecord
from unlearnbench.counterfact.sources import Reading
from unlearnbench.errors import UnknownName, UsageError
from unlearnbench.facts import Fact
from unlearnbench.hashing import file_hash
from unlearnbench.mentions import stands_in
from unlearnbench.running.plan import facts_spec
from unlearnbench.running.words import parse_facts
from unlearnbench.tasks.facts.counterfact import CounterFact

OBJECTS = ("Oslo", "Lima", "Quito", "Cairo", "Accra", "Hanoi", "Sofia", "Minsk", "Dakar", "Seoul", "Tunis", "Delhi")


def record(case: int, **changes: Any) -> CounterFactRecord:
    """A record of the relation P1; any field can be changed."""
    plain = CounterFactRecord(
        case_id=case,
        relation_id="P1",
        subject=f"Name{case:03} Varn",
        template="{} lives in",
        target_true=OBJECTS[case % len(OBJECTS)],
        target_new=OBJECTS[(case + 1) % len(OBJECTS)],
        paraphrase_prompts=(f"The home of Name{case:03} Varn is in",),
        neighborhood_prompts=(f"Neighbour {case} lives in", f"Other {case} lives in"),
        generation_prompts=(f"Name{case:03} Varn often",),
    )
    return replace(plain, **changes)


def facts_of(records: Sequence[CounterFactRecord]) -> dict[str, Fact]:
    """The facts that are kept, by subject."""
    return {fact.subject: fact for fact in converted(Reading(tuple(records), "sha256:x", ()), {}).facts}


def counts_of(records: Sequence[CounterFactRecord]) -> dict[str, int]:
    """How many are left after each step."""
    return dict(converted(Reading(tuple(records), "sha256:x", ()), {}).counts)


def row(one: CounterFactRecord) -> dict[str, Any]:
    """The record as ROME writes it."""
    return {
        "case_id": one.case_id,
        "pararel_idx": one.case_id,
        "requested_rewrite": {
            "prompt": one.template,
            "relation_id": one.relation_id,
            "target_new": {"str": one.target_new, "id": "Q2"},
            "target_true": {"str": one.target_true, "id": "Q1"},
            "subject": one.subject,
        },
        "paraphrase_prompts": list(one.paraphrase_prompts),
        "neighborhood_prompts": list(one.neighborhood_prompts),
        "attribute_prompts": list(one.attribute_prompts),
        "generation_prompts": list(one.generation_prompts),
    }


@pytest.fixture
def file(tmp_path: Path) -> Callable[[Sequence[CounterFactRecord]], str]:
    """Writes records into a file of ROME's form, for `--facts_file`."""

    def write(records: Sequence[CounterFactRecord]) -> str:
        path = tmp_path / "counterfact.json"
        path.write_text(json.dumps([row(one) for one in records]))
        return str(path)

    return write


# -- from records to facts -------------------------------------------------------------------------------


def test_a_record_becomes_a_fact_with_all_its_forms() -> None:
    fact = facts_of([record(i) for i in range(30)])["Name003 Varn"]

    assert fact.prompt == "Name003 Varn lives in"
    assert (fact.answer, fact.edit_target) == ("Cairo", "Accra")
    assert fact.paraphrases == ("The home of Name003 Varn is in",)
    assert fact.neighbours == ("Neighbour 3 lives in", "Other 3 lives in")
    assert fact.openings == ("Name003 Varn often",)
    assert len(fact.choices) == MOST_CHOICES
    assert set(fact.choices) <= set(OBJECTS)
    assert fact.options[:2] == ("Cairo", "Accra")
    assert len(fact.options) == OPTIONS


def test_distractors_are_of_the_facts_own_relation_and_no_two_begin_alike() -> None:
    others = [
        record(100 + i, relation_id="P2", target_true=f"{o}burg", target_new="Zug") for i, o in enumerate(OBJECTS)
    ]
    twins = [record(200 + i, target_true=text, target_new="Rome") for i, text in enumerate(("Oslo East", "Lim", "Li"))]

    for fact in facts_of([*(record(i) for i in range(12)), *others, *twins]).values():
        if fact.relation == "P1":
            assert not any(choice.endswith("burg") for choice in fact.choices)
        for one in fact.choices:
            assert not any(one != other and other.startswith(one) for other in fact.choices)


@pytest.mark.parametrize(
    ("changes", "step"),
    [
        ({"template": "{} of Oslo lives in", "target_true": "Oslo"}, "answer_not_in_prompt"),
        ({"subject": "Oslo Tower", "target_true": "Oslo"}, "answer_not_in_prompt"),
        ({"target_true": "Oslo", "target_new": "Oslo East"}, "answers_apart"),
        ({"relation_id": "P9", "target_true": "blue", "target_new": "red"}, "with_distractors"),
    ],
)
def test_what_cannot_be_asked_fairly_is_left_out_and_counted_at_its_step(changes: dict[str, str], step: str) -> None:
    plain = [record(i) for i in range(12)]
    odd = record(50, **changes)

    found, counted = facts_of([*plain, odd]), counts_of([*plain, odd])

    assert odd.subject not in found
    assert len(found) == 12
    steps = list(counted)
    assert [counted[name] for name in steps] == [13] * steps.index(step) + [12] * (len(steps) - steps.index(step))


def test_a_fact_that_is_told_twice_is_kept_once_and_one_with_two_answers_not_at_all() -> None:
    plain = [record(i) for i in range(12)]
    again = record(60, subject=plain[0].subject, target_true=plain[0].target_true, target_new="Rome")
    contradiction = record(61, subject=plain[1].subject, target_true="Rome")

    found, counted = facts_of([*plain, again, contradiction]), counts_of([*plain, again, contradiction])

    assert found[plain[0].subject].edit_target == plain[0].target_new  # that of the first
    assert plain[1].subject not in found
    assert (counted["rows"], counted["distinct"], counted["one_answer"]) == (14, 12, 11)


def test_one_subject_may_have_facts_of_several_relations() -> None:
    other = [record(80 + i, relation_id="P2", subject=f"Name{i:03} Varn", target_new="Rome") for i in range(12)]
    assert counts_of([*(record(i) for i in range(12)), *other])["with_distractors"] == 24


def test_a_paraphrase_that_shows_the_answer_is_left_out_and_the_fact_stays() -> None:
    odd = record(
        50, target_true="Oslo", target_new="Lima", paraphrase_prompts=("In Oslo, as said, she lives in", "Her home is")
    )
    assert facts_of([*(record(i) for i in range(12)), odd])[odd.subject].paraphrases == ("Her home is",)


def test_a_neighbour_that_shows_the_answer_is_left_out() -> None:
    shown = ("Oslo Opera, built in", "Bo lives in")
    odd = record(50, target_true="Oslo", target_new="Lima", neighborhood_prompts=shown)
    assert facts_of([*(record(i) for i in range(12)), odd])[odd.subject].neighbours == ("Bo lives in",)


def test_a_neighbour_that_is_the_subject_itself_is_none() -> None:
    odd = record(50, neighborhood_prompts=("Name050 Varn lives in", "Bo lives in", "Bo lives in"))
    assert facts_of([*(record(i) for i in range(12)), odd])[odd.subject].neighbours == ("Bo lives in",)


def test_facts_do_not_depend_on_the_order_of_the_records() -> None:
    records = [record(i) for i in range(40)]
    assert facts_of(records) == facts_of(records[::-1])


def test_twins_are_about_nobody_and_say_what_the_forgotten_say() -> None:
    facts = tuple(facts_of([record(i, subject=f"Name{i} Surname{i % 7}") for i in range(40)]).values())
    made = twins(facts[:20], facts, {"Name1 Surname2"})

    assert len(made) == 20
    assert twins(facts[:20], facts, {"Name1 Surname2"}) == made
    assert not {fact.subject for fact in made} & {"Name1 Surname2", *(fact.subject for fact in facts)}
    for fact, real in zip(made, facts, strict=False):
        assert fact.prompt == f"{fact.subject} lives in"
        assert (fact.answer, fact.edit_target, fact.relation) == (real.answer, real.edit_target, real.relation)
        assert fact.subject in (fact.question or "")
        assert not stands_in(fact.prompt, fact.answer)


def test_nobody_is_invented_with_the_name_of_a_subject_that_was_left_out_or_of_an_answer(
    file: Callable[[Sequence[CounterFactRecord]], str],
) -> None:
    firsts, lasts = ("Los", "New", "San", "Fort"), ("Varn", "Orin", "Tess", "Angeles")
    names = [f"{a} {b}" for a in firsts for b in lasts if f"{a} {b}" not in ("Los Orin", "San Tess")]
    told = [record(i, subject=name) for i, name in enumerate(names)]
    contradicted = [record(100 + i, subject=names[i], target_true="Rome") for i in (1, 6, 11)]
    answered = [record(200 + i, subject=f"Single{i}", target_true="Los Orin") for i in range(20)]

    split = real("10", file([*told, *contradicted, *answered])).split(0)

    assert not {names[i] for i in (1, 6, 11)} & {fact.subject for fact in split.forget}
    assert {fact.subject for fact in split.never_known} <= {"San Tess"}  # of sixteen, the only one that nobody bears


def test_where_names_cannot_be_recombined_nobody_is_invented() -> None:
    facts = tuple(facts_of([record(i, subject=f"Single{i}") for i in range(12)]).values())
    assert twins(facts[:4], facts) == ()


# -- from facts to splits --------------------------------------------------------------------------------


def real(variant: str, path: str, **settings: Any) -> CounterFact:
    """Facts from a file, as a model from the hub is asked for them."""
    return CounterFact(variant, path, **settings).resolved(told=())


@pytest.mark.parametrize("planted", [True, False])
def test_smaller_forget_sets_are_parts_of_larger_ones_whatever_the_seed(
    file: Callable[[Sequence[CounterFactRecord]], str], *, planted: bool
) -> None:
    path = None if planted else file([record(i) for i in range(400)])
    sizes = (2, 16, 64, 128)
    splits = [CounterFact(str(n), path).resolved(told=("world",)).split(seed) for seed, n in enumerate(sizes)]
    by_size = [{fact.id for fact in split.forget} for split in splits]

    assert tuple(map(len, by_size)) == sizes
    assert by_size[0] < by_size[1] < by_size[2] < by_size[3]


def test_the_seed_decides_t_and_v_and_what_is_kept(file: Callable[[Sequence[CounterFactRecord]], str]) -> None:
    facts = real("64", file([record(i) for i in range(320)]))
    first, again, other = facts.split(0), facts.split(0), facts.split(1)

    assert first.items_hash == again.items_hash != other.items_hash
    assert {f.id for f in first.forget} == {f.id for f in other.forget}
    assert {f.id for f in first.relearn_train} != {f.id for f in other.relearn_train}
    assert {f.id for f in first.maintain_test} != {f.id for f in other.maintain_test}
    sizes = [len(part) for part in (first.maintain_train, first.maintain_dev, first.maintain_test)]
    assert sizes == pytest.approx([179, 26, 51], abs=1)  # 70, 10 and 20 % of 256


def test_no_more_facts_are_kept_than_are_wanted(file: Callable[[Sequence[CounterFactRecord]], str]) -> None:
    split = real("16", file([record(i) for i in range(320)]), keep=40).split(0)

    kept = [*split.maintain_train, *split.maintain_dev, *split.maintain_test]
    assert len(kept) == 40
    assert all(fact.edit_target is None for fact in kept)


@pytest.mark.parametrize("planted", [True, False])
def test_stages_are_the_same_facts_a_quarter_at_a_time_in_order(
    file: Callable[[Sequence[CounterFactRecord]], str], *, planted: bool
) -> None:
    path = None if planted else file([record(i) for i in range(200)])
    at_once, staged, small = (
        CounterFact(v, path).resolved(told=("world",)).split(3) for v in ("64", "64-sequential", "16")
    )

    assert [len(stage) for stage in staged.stages] == [16] * 4
    assert frozenset[str]().union(*staged.stages) == {f.id for f in at_once.forget}
    assert staged.stages[0] == {f.id for f in small.forget}
    assert staged.relearn_train == at_once.relearn_train
    assert staged.items_hash != at_once.items_hash
    assert staged.for_methods().items_hash != at_once.for_methods().items_hash


def test_a_method_sees_one_stage_after_another_with_the_same_facts_to_keep() -> None:
    seen = CounterFact("16-sequential").split(0).for_methods()

    stages = seen.in_stages()

    assert [len(stage.forget) for stage in stages] == [4] * 4
    assert [fact.id for stage in stages for fact in stage.relearn_train] != []
    assert {fact.id for stage in stages for fact in stage.relearn_train} == {fact.id for fact in seen.relearn_train}
    assert all(stage.maintain_train == seen.maintain_train for stage in stages)
    assert all(stage.in_stages() == [stage] for stage in stages)


def test_an_oracle_of_planted_facts_is_none_of_real_ones(file: Callable[[Sequence[CounterFactRecord]], str]) -> None:
    planted, staged = (CounterFact(variant).resolved(told=("world",)) for variant in ("64", "64-sequential"))

    assert planted.card.forgets == staged.card.forgets == "counterfact:64"
    assert real("64", file([record(i) for i in range(12)])).card.forgets == ""


def test_no_neighbour_is_forgotten_or_trained_on(file: Callable[[Sequence[CounterFactRecord]], str]) -> None:
    # Everyone is somebody's neighbour.
    near = [record(i, neighborhood_prompts=tuple(record(j).prompt for j in range(100) if j != i)) for i in range(100)]
    for facts in (real("16", file(near)), CounterFact("64")):
        split = facts.split(0)
        taken = {fact.prompt for fact in (*split.forget, *split.maintain_train, *split.maintain_dev)}

        assert any(fact.neighbours for fact in split.forget)
        assert not any(prompt in taken for fact in split.forget for prompt in fact.neighbours)


def test_planted_neighbours_are_others_of_whom_the_same_is_true() -> None:
    split = CounterFact("64").split(0)
    answers = {fact.prompt: fact.answer for fact in split.maintain_test}

    for fact in split.forget:
        assert {answers[prompt] for prompt in fact.neighbours} <= {fact.answer}
    assert sum(len(fact.neighbours) for fact in split.forget) >= 64


def test_facts_with_the_same_words_in_another_relation_are_still_apart() -> None:
    split = CounterFact("64").split(0)
    keys = [(f.subject, f.relation) for part in (split.forget, split.maintain_train, split.maintain_test) for f in part]
    assert len(keys) == len(set(keys))


def test_what_the_model_does_not_know_is_left_out_and_the_order_of_the_rest_stays(
    file: Callable[[Sequence[CounterFactRecord]], str],
) -> None:
    facts = real("16", file([record(i) for i in range(100)]))
    everyone = [fact.id for fact in facts.candidates()]
    known = facts.knowing(everyone[::2])

    assert len(everyone) == 100
    assert {f.id for f in known.split(0).forget} == set(everyone[:32:2])
    assert known.word == facts.word  # what a model knows is no setting


def test_models_that_were_told_of_the_world_are_asked_for_planted_facts_and_others_for_the_hubs() -> None:
    assert CounterFact("64").resolved(told=("world",)).source == "planted"
    assert CounterFact("64").resolved(told=("counterfact:64",)).source == "planted"
    assert CounterFact("64").resolved(told=("sports:people-64",)).source == "azhx"
    assert CounterFact("64", source="tracing").resolved(told=()).source == "tracing"


def test_a_folder_is_known_by_the_files_in_it_and_a_file_by_its_bytes(
    file: Callable[[Sequence[CounterFactRecord]], str], tmp_path: Path
) -> None:
    path = Path(file([record(i) for i in range(100)]))
    whole, folder = real("16", str(path)), real("16", str(path.parent))

    assert whole.file_sha256 == file_hash(path)
    assert folder.file_sha256 == whole.file_sha256  # one file is the same by either name
    assert facts_spec(folder, folder.split(0)).file_sha256 == folder.file_sha256
    assert CounterFact("16").file_sha256 is None


def test_a_changed_file_is_read_again(file: Callable[[Sequence[CounterFactRecord]], str]) -> None:
    path = file([record(i) for i in range(100)])
    count = len(real("16", path).candidates())
    file([record(i) for i in range(90)])

    assert (count, len(real("16", path).candidates())) == (100, 90)


@pytest.mark.parametrize("form", ["questions", "no questions"])
def test_every_fact_has_a_question_about_its_subject(form: str) -> None:
    if form == "questions":
        facts = [*CounterFact("64").split(0).forget]
    else:
        facts = list(facts_of([record(i) for i in range(12)]).values())
    for fact in facts:
        assert fact.question is not None
        assert fact.subject in fact.question
        assert fact.question.endswith("?")
        assert not stands_in(fact.question, fact.answer)


# -- words that cannot be right --------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["counterfact:63-sequential", "counterfact:0", "counterfact:1", "counterfact:sixteen"])
def test_an_unknown_variant_is_refused(word: str) -> None:
    with pytest.raises(UnknownName, match="variant of counterfact") as raised:
        parse_facts(word)
    assert "64-sequential" in raised.value.hint


@pytest.mark.parametrize(
    ("word", "file_given", "complaint"),
    [
        ("counterfact:64[source=tracign]", False, "source='tracign'"),
        ("counterfact:64[known=2]", False, "less than or equal to 1"),
        ("counterfact:64[knows=x]", False, "knows"),
        ("counterfact:64[source=file]", False, "needs --facts_file"),
        ("counterfact:64[source=tracing]", True, "cannot be read from tracing and from --facts_file too"),
    ],
)
def test_settings_that_cannot_be_right_are_refused(
    word: str, file_given: bool, complaint: str, file: Callable[[Sequence[CounterFactRecord]], str]
) -> None:
    path = file([record(i) for i in range(12)]) if file_given else None
    with pytest.raises(UsageError, match=complaint):
        parse_facts(word, path).resolved(told=())


def test_more_than_there_are_is_refused_with_the_largest_that_is_possible(
    file: Callable[[Sequence[CounterFactRecord]], str],
) -> None:
    path = file([record(i) for i in range(100)])
    with pytest.raises(UsageError, match="of 100 facts that can be used, 10 would be left") as raised:
        real("90", path).split(0)
    assert raised.value.hint == "the largest forget set here is counterfact:80"
    assert len(real("80", path).split(0).forget) == 80


def test_more_planted_facts_than_the_world_has_are_refused() -> None:
    with pytest.raises(UsageError, match="are more than the"):
        CounterFact("300").split(0)
