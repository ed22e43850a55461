"""CounterFact as a fact set: from records to facts that can be asked fairly, and from facts to splits."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from unlearnbench.counterfact.facts import MOST_CHOICES, OPTIONS, converted, invented
from unlearnbench.counterfact.record import CounterFactRecord
from unlearnbench.counterfact.sources import Reading
from unlearnbench.errors import UnknownName, UsageError
from unlearnbench.facts import Fact
from unlearnbench.mentions import stands_in
from unlearnbench.plan import parse_facts
from unlearnbench.source import ModelSource
from unlearnbench.split import Split
from unlearnbench.tasks.facts.counterfact import CounterFact

OBJECTS = ("Oslo", "Lima", "Quito", "Cairo", "Accra", "Hanoi", "Sofia", "Minsk", "Dakar", "Seoul", "Tunis", "Delhi")
SOURCE = ModelSource(
    kind="organism",
    name="random",
    weights_sha256="sha256:w",
    config_sha256="sha256:c",
    tokenizer_sha256="sha256:t",
    layout="inline",
    learning_rate=1e-3,
    retain_text="world",
)
HF = SOURCE.model_copy(update={"kind": "hf", "layout": "lines"})


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
    assert fact.neighbors == ("Neighbour 3 lives in", "Other 3 lives in")
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
    assert facts_of([*(record(i) for i in range(12)), odd])[odd.subject].neighbors == ("Bo lives in",)


def test_a_neighbour_that_is_the_subject_itself_is_none() -> None:
    odd = record(50, neighborhood_prompts=("Name050 Varn lives in", "Bo lives in", "Bo lives in"))
    assert facts_of([*(record(i) for i in range(12)), odd])[odd.subject].neighbors == ("Bo lives in",)


def test_facts_do_not_depend_on_the_order_of_the_records() -> None:
    records = [record(i) for i in range(40)]
    assert facts_of(records) == facts_of(records[::-1])


def test_invented_facts_are_about_nobody_and_are_asked_like_the_real_ones() -> None:
    facts = tuple(facts_of([record(i, subject=f"Name{i} Surname{i % 7}") for i in range(40)]).values())
    made = invented(facts, 20, {"Name1 Surname2"})

    assert len(made) == 20
    assert invented(facts, 20, {"Name1 Surname2"}) == made
    assert not {fact.subject for fact in made} & {"Name1 Surname2", *(fact.subject for fact in facts)}
    for fact in made:
        assert fact.prompt == f"{fact.subject} lives in"
        assert fact.question is not None
        assert fact.subject in fact.question
        assert not stands_in(fact.prompt, fact.answer)


def test_nobody_is_invented_with_the_name_of_a_subject_that_was_left_out_or_of_an_answer(
    file: Callable[[Sequence[CounterFactRecord]], str],
) -> None:
    firsts, lasts = ("Los", "New", "San", "Fort"), ("Varn", "Orin", "Tess", "Angeles")
    names = [f"{a} {b}" for a in firsts for b in lasts if f"{a} {b}" not in ("Los Orin", "San Tess")]
    told = [record(i, subject=name) for i, name in enumerate(names)]
    contradicted = [record(100 + i, subject=names[i], target_true="Rome") for i in (1, 6, 11)]
    answered = [record(200 + i, subject=f"Single{i}", target_true="Los Orin") for i in range(20)]

    split = CounterFact("4", file([*told, *contradicted, *answered]), least_probability=0).resolved(HF).split(0)

    assert not {names[i] for i in (1, 6, 11)} & {fact.subject for fact in split.forget}
    assert [fact.subject for fact in split.never_known] == ["San Tess"]  # of sixteen, the only one that nobody bears


def test_where_names_cannot_be_recombined_fewer_are_invented_and_none_is_repeated() -> None:
    facts = tuple(facts_of([record(i, subject=f"Single{i}") for i in range(12)]).values())
    assert invented(facts, 20) == ()


# -- from facts to splits --------------------------------------------------------------------------------


def test_smaller_forget_sets_are_parts_of_larger_ones_whatever_the_seed() -> None:
    by_size = [
        {f.id for f in CounterFact(str(n)).resolved(SOURCE).split(s).forget} for s, n in enumerate((2, 16, 64, 256))
    ]

    assert list(map(len, by_size)) == [2, 16, 64, 256]
    assert by_size[0] < by_size[1] < by_size[2] < by_size[3]


def test_the_seed_decides_t_and_v_and_what_is_kept() -> None:
    facts = CounterFact("64").resolved(SOURCE)
    first, again, other = facts.split(0), facts.split(0), facts.split(1)

    assert first.items_hash == again.items_hash != other.items_hash
    assert {f.id for f in first.forget} == {f.id for f in other.forget}
    assert {f.id for f in first.relearn} != {f.id for f in other.relearn}
    assert {f.id for f in first.maintain_test} != {f.id for f in other.maintain_test}
    sizes = [len(part) for part in (first.maintain_train, first.maintain_dev, first.maintain_test)]
    assert sizes == [179, 26, 51]  # 70, 10 and 20 % of 256


def test_sequential_groups_are_the_same_facts_four_at_a_time_in_order() -> None:
    at_once, staged = (CounterFact(v).resolved(SOURCE).split(3) for v in ("64", "64-sequential"))
    small = CounterFact("16").resolved(SOURCE).split(0)

    assert [len(stage) for stage in staged.stages] == [16] * 4
    assert {f.id for stage in staged.stages for f in stage} == {f.id for f in at_once.forget}
    assert {f.id for f in staged.stages[0]} == {f.id for f in small.forget}
    assert [f.id for f in staged.relearn] == [f.id for f in at_once.relearn]
    assert [len(one.forget) for one in staged.stages_for_methods()] == [16] * 4
    assert staged.items_hash != at_once.items_hash
    assert CounterFact("64-sequential").resolved(SOURCE).forgets == "counterfact:64"


def test_an_oracle_of_planted_facts_is_none_of_real_ones() -> None:
    planted = CounterFact("64").resolved(SOURCE)
    others = [CounterFact("64", source=source).resolved(SOURCE) for source in ("azhx", "tracing")]

    assert planted.forgets == "counterfact:64"
    assert len({planted.forgets, *(other.forgets for other in others)}) == 3


def test_no_neighbour_is_forgotten_or_trained_on(file: Callable[[Sequence[CounterFactRecord]], str]) -> None:
    # Everyone is somebody's neighbour.
    near = [record(i, neighborhood_prompts=tuple(record(j).prompt for j in range(100) if j != i)) for i in range(100)]
    split = CounterFact("16", file(near), least_probability=0).resolved(HF).split(0)
    taken = {fact.prompt for fact in (*split.forget, *split.maintain_train, *split.maintain_dev)}

    assert any(fact.neighbors for fact in split.forget)
    assert not any(prompt in taken for fact in split.forget for prompt in fact.neighbors)


def test_a_split_whose_neighbour_is_trained_on_is_refused() -> None:
    facts = list(facts_of([record(i) for i in range(12)]).values())
    near = replace(facts[0], neighbors=(facts[5].prompt,))

    with pytest.raises(UsageError, match="occurs verbatim in maintain-train"):
        Split([near], facts[1:2], facts[4:8], (), ())


def test_facts_with_the_same_words_in_another_relation_are_still_apart() -> None:
    split = CounterFact("64").resolved(SOURCE).split(0)
    keys = [(f.subject, f.relation) for part in (split.forget, split.maintain_train, split.maintain_test) for f in part]
    assert len(keys) == len(set(keys))


def test_what_the_model_does_not_know_is_left_out_and_the_order_of_the_rest_stays(
    file: Callable[[Sequence[CounterFactRecord]], str],
) -> None:
    facts = CounterFact("16", file([record(i) for i in range(100)])).resolved(HF)
    everyone = [fact.id for fact in facts.candidates()]
    whole, known = facts.knowing(everyone), facts.knowing(everyone[::2])

    assert facts.known_from() == 0.5
    assert len(everyone) == 100
    in_order = [fact.id for fact in whole._ordered()]
    assert [fact.id for fact in known._ordered()] == [one for one in in_order if one in everyone[::2]]
    assert {f.id for f in known.split(0).forget} <= set(everyone[::2])
    assert known.counts() == {**facts.counts(), "known": 50, "forgotten": 16}
    assert known.as_given()["known"] == sorted(everyone[::2])


def test_organisms_are_asked_for_planted_facts_without_a_filter_and_others_for_the_hubs() -> None:
    planted, hub = CounterFact("64").resolved(SOURCE), CounterFact("64").resolved(HF)

    assert (planted.source, planted.least_probability, planted.candidates()) == ("planted", 0.0, ())
    assert (hub.source, hub.least_probability) == ("azhx", 0.5)
    assert planted.inputs() == {}


def test_the_digest_of_the_file_is_part_of_a_runs_identity_and_a_changed_file_is_read_again(
    file: Callable[[Sequence[CounterFactRecord]], str],
) -> None:
    path = file([record(i) for i in range(100)])
    facts = CounterFact("16", path).resolved(HF)
    before, count = facts.inputs(), len(facts.candidates())
    file([record(i) for i in range(90)])

    assert list(before) == ["facts"]
    assert facts.inputs() != before
    assert (count, len(facts.candidates())) == (100, 90)


@pytest.mark.parametrize("form", ["questions", "no questions"])
def test_every_fact_has_a_question_about_its_subject(form: str) -> None:
    if form == "questions":
        facts = [*CounterFact("64").resolved(SOURCE).split(0).forget]
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
        parse_facts(word, SOURCE)
    assert "64-sequential" in raised.value.hint
    assert "N from 2 on" in raised.value.hint
    assert "multiples of 4" in raised.value.hint


@pytest.mark.parametrize(
    ("word", "file_given", "complaint"),
    [
        ("counterfact:64[source=tracign]", False, "source='tracign'"),
        ("counterfact:64[least_probability=2]", False, "less than or equal to 1"),
        ("counterfact:64[known=x]", False, "unknown setting"),
        ("counterfact:64[source=file]", False, "needs --facts_file"),
        ("counterfact:64[source=tracing]", True, "cannot be read from tracing and from --facts_file too"),
        ("counterfact:64[variant=16]", False, "the variant follows the colon"),
    ],
)
def test_settings_that_cannot_be_right_are_refused(
    word: str, file_given: bool, complaint: str, file: Callable[[Sequence[CounterFactRecord]], str]
) -> None:
    path = file([record(i) for i in range(12)]) if file_given else None
    with pytest.raises(UsageError, match=complaint.replace("[", r"\[")):
        parse_facts(word, HF, path)


def test_more_than_there_are_is_refused_with_the_largest_that_is_possible() -> None:
    with pytest.raises(UsageError, match="of 320 facts that can be used, 10 would be left") as raised:
        CounterFact("310").resolved(SOURCE).split(0)
    assert raised.value.hint == "the largest forget set here is counterfact:300"
    assert len(CounterFact("300").resolved(SOURCE).split(0).forget) == 300
