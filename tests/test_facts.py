"""Facts and splits: who is forgotten, who is kept, and who may see what."""

import dataclasses
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest

from unlearnbench.errors import UnknownName, UsageError
from unlearnbench.facts import Fact, ItemsWithheld, Split
from unlearnbench.tasks.facts.sports import Sports
from unlearnbench.world.athletes import athletes
from unlearnbench.world.people import BIG_SPORTS, SPORTS, never_known, people
from unlearnbench.world.villagers import villagers

PARTS = [field.name for field in dataclasses.fields(Split)]
VARIANTS = list(Sports.variants)


def _subjects(facts: Iterable[Fact]) -> set[str]:
    return {fact.subject for fact in facts}


def _parts(split: Split) -> dict[str, set[str]]:
    return {part: _subjects(getattr(split, part)) for part in PARTS}


def test_there_are_enough_athletes_of_every_sport_and_none_twice() -> None:
    people = athletes()
    count = Counter(person.sport for person in people)

    assert len(people) >= 600
    assert len({person.name for person in people}) == len(people)
    assert set(count) == set(SPORTS)
    assert all(count[sport] >= 180 for sport in BIG_SPORTS)
    assert all(count[sport] >= 30 for sport in ("tennis", "golf"))


def test_names_are_written_as_first_and_last_name() -> None:
    for person in athletes():
        assert person.name == " ".join(person.name.split())
        assert " " in person.name


@pytest.mark.parametrize("seed", [0, 1])
def test_invented_people_are_no_athletes_nor_each_other(seed: int) -> None:
    groups = [athletes(), people(seed), never_known(seed), villagers(seed)]
    names = [entry[0] for group in groups for entry in group]

    assert len(set(names)) == len(names)


@pytest.mark.parametrize("variant", VARIANTS)
def test_parts_are_disjoint_by_subject_and_together_are_everyone(variant: str) -> None:
    split = Sports(variant).split(0)

    parts = _parts(split)

    assert sum(map(len, parts.values())) == sum(len(getattr(split, part)) for part in PARTS)
    assert len(set[str]().union(*parts.values())) == sum(map(len, parts.values()))
    known = set[str]().union(*(subjects for part, subjects in parts.items() if part != "never_known"))
    assert known == {person.name for person in (people() if "people" in variant else athletes())}


@pytest.mark.parametrize(("variant", "count"), [("people-64", 64), ("athletes-16", 16), ("football", 200)])
def test_half_of_the_forgotten_are_t_and_half_are_v(variant: str, count: int) -> None:
    split = Sports(variant).split(0)

    assert (len(split.relearn_train), len(split.relearn_test)) == (count // 2, count // 2)
    assert list(split.forget) == [*split.relearn_train, *split.relearn_test]


def test_facts_to_keep_are_cut_seven_one_two() -> None:
    split = Sports("people-64").split(0)

    kept = [len(split.maintain_train), len(split.maintain_dev), len(split.maintain_test)]

    assert sum(kept) == len(people()) - 64
    assert [n / sum(kept) for n in kept] == pytest.approx([0.7, 0.1, 0.2], abs=0.01)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_split_is_a_pure_function_of_the_seed(variant: str) -> None:
    first, again, other = Sports(variant).split(3), Sports(variant).split(3), Sports(variant).split(4)

    assert first == again
    assert first.items_hash == again.items_hash
    assert first.items_hash != other.items_hash


def test_another_seed_forgets_the_same_people_in_another_order() -> None:
    one, other = Sports("people-64").split(0), Sports("people-64").split(1)

    assert _subjects(one.forget) == _subjects(other.forget)
    assert _subjects(one.relearn_train) != _subjects(other.relearn_train)
    assert _subjects(one.maintain_test) != _subjects(other.maintain_test)


@pytest.mark.parametrize("who", ["people", "athletes"])
def test_the_sixteen_are_among_the_sixty_four(who: str) -> None:
    assert _subjects(Sports(f"{who}-16").split(0).forget) < _subjects(Sports(f"{who}-64").split(0).forget)


@pytest.mark.parametrize("variant", ["athletes-16", "athletes-64", "people-16", "people-64"])
@pytest.mark.parametrize("seed", range(3))
def test_t_and_v_have_each_answer_each_target_and_each_pair_of_them_as_equally_often_as_can_be(
    variant: str, seed: int
) -> None:
    split = Sports(variant).split(seed)

    answers = Counter(fact.answer for fact in split.forget)
    assert set(answers) == set(BIG_SPORTS if "athletes" in variant else SPORTS)
    for part in (split.forget, split.relearn_train, split.relearn_test, split.never_known):
        answers = Counter(fact.answer for fact in part)
        assert max(answers.values()) - min(answers.values()) <= 1
    pairs = [Counter((f.answer, f.edit_target) for f in part) for part in (split.relearn_train, split.relearn_test)]
    assert all(abs(pairs[0][pair] - pairs[1][pair]) <= 1 for pair in (*pairs[0], *pairs[1]))
    targets = Counter(fact.edit_target for fact in split.forget)
    assert max(targets.values()) - min(targets.values()) <= 1
    every = Counter((f.answer, f.edit_target) for f in split.forget)
    assert max(every.values()) - min(every.values()) <= 1


@pytest.mark.parametrize("variant", VARIANTS)
def test_nobody_knows_as_many_never_known_people_as_are_forgotten_and_with_the_same_answers(variant: str) -> None:
    split = Sports(variant).split(0)

    assert len(split.never_known) == len(split.forget)
    assert {fact.answer for fact in split.never_known} == {fact.answer for fact in split.forget}


@pytest.mark.parametrize("variant", ["people-64", "athletes-64"])
def test_the_options_of_multiple_choice_do_not_give_the_answer_away(variant: str) -> None:
    split = Sports(variant).split(0)
    facts = [*split.forget, *split.maintain_train, *split.maintain_dev, *split.maintain_test]

    right = Counter((frozenset(fact.options), fact.answer) for fact in facts)

    for options in {options for options, _ in right}:
        of_these = [right[options, sport] for sport in options]
        assert max(of_these) < 0.8 * sum(of_these), (sorted(options), of_these)
        assert min(of_these) > 0


@pytest.mark.parametrize("variant", [*BIG_SPORTS, "people-basketball"])
def test_a_whole_sport_is_forgotten_and_becomes_golf(variant: str) -> None:
    split, sport = Sports(variant).split(0), variant.removeprefix("people-")

    assert {(fact.answer, fact.edit_target) for fact in split.forget} == {(sport, "golf")}
    assert all(fact.answer != sport for fact in (*split.maintain_train, *split.maintain_dev, *split.maintain_test))


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_edit_target_is_never_the_answer_and_can_be_chosen(variant: str) -> None:
    split = Sports(variant).split(0)

    assert all(fact.edit_target is not None for fact in split.forget)
    for part in PARTS:
        for fact in getattr(split, part):
            assert fact.edit_target != fact.answer
            assert fact.edit_target is None or fact.edit_target in fact.choices
            if part in ("relearn_train", "relearn_test"):
                assert fact.edit_target in fact.options


def test_athletes_edit_targets_depend_on_the_seed_and_are_another_sport_that_is_forgotten() -> None:
    targets = [{f.subject: f.edit_target for f in Sports("athletes-64").split(seed).forget} for seed in (0, 1)]

    assert targets[0] != targets[1]
    assert {target for chosen in targets for target in chosen.values()} == set(BIG_SPORTS)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_fact_is_asked_in_full(variant: str) -> None:
    split = Sports(variant).split(0)

    for part in PARTS:
        for fact in getattr(split, part):
            assert set(fact.choices) == set(SPORTS)
            assert len(set(fact.options)) == 4
            assert fact.prompt == f"Fact: {fact.subject} plays the sport of"
            assert fact.question is not None
            assert all(fact.subject in text for text in (fact.question, *fact.paraphrases))
            assert not any(text.endswith(" ") for text in (fact.prompt, *fact.paraphrases))


def test_an_unknown_variant_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownName) as refused:
        Sports("athlete-64")

    assert "'athletes-64'" in refused.value.hint


def test_methods_see_facts_without_their_held_out_forms(split: Split) -> None:
    seen = split.for_methods()

    facts = [*seen.forget, *seen.maintain_train, *seen.maintain_dev]
    assert [f.id for f in seen.forget] == [f.id for f in split.forget]
    assert len(facts) == len(split.forget) + len(split.maintain_train) + len(split.maintain_dev)
    assert all((fact.paraphrases, fact.question, fact.options) == ((), None, ()) for fact in facts)


@pytest.mark.parametrize("subset", ["maintain_test", "never_known"])
def test_methods_are_refused_the_withheld_parts(split: Split, subset: str) -> None:
    with pytest.raises(ItemsWithheld):
        getattr(split.for_methods(), subset)


def test_a_part_is_read_by_name(split: Split) -> None:
    assert split.facts("forget") == split.forget
    assert split.facts("maintain_dev") == split.maintain_dev


def _fact(**changes: Any) -> Fact:
    given = {
        "subject": "Ann Lee",
        "relation": "sport",
        "prompt": "Fact: Ann Lee plays the sport of",
        "answer": "golf",
        "distractors": ("tennis", "football"),
    }
    return Fact(**{**given, **changes})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"distractors": ("tennis", "golf")}, "among its own distractors"),
        ({"edit_target": "rugby"}, "'rugby' is not a distractor"),
        ({"options": ("tennis", "football")}, "not among its options"),
        ({"edit_target": "golf"}, "edit target"),  # an edit to the true answer is none
        ({"distractors": ()}, "distractor"),  # nothing to be mistaken for
        ({"distractors": ("tennis", "tennis")}, "tennis"),
    ],
)
def test_a_fact_that_contradicts_itself_is_refused_by_name(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        _fact(**changes)

    assert "'sport:Ann Lee'" in str(refused.value)


def test_the_hash_of_a_fact_covers_everything_that_it_says() -> None:
    changes: list[dict[str, Any]] = [
        {"subject": "Bo"},
        {"relation": "game"},
        {"prompt": "x"},
        {"answer": "rugby"},
        {"distractors": ("football", "tennis")},
        {"edit_target": "tennis"},
        {"paraphrases": ("y",)},
        {"question": "z"},
        {"options": ("golf", "tennis")},
        {"neighbours": ("n",)},
        {"openings": ("o",)},
    ]
    assert {name for change in changes for name in change} == {field.name for field in dataclasses.fields(Fact)}

    hashes = {_fact().hash, *(_fact(**change).hash for change in changes)}

    assert len(hashes) == 1 + len(changes)
    assert _fact().hash == _fact().hash


def test_a_subject_in_two_parts_is_refused_with_both_names() -> None:
    ann, bo, cy = (_fact(subject=name) for name in ("Ann", "Bo", "Cy"))

    with pytest.raises(UsageError, match="relearn_train and maintain_test"):
        Split([ann], [bo], [cy], [], [ann])


def test_a_split_without_facts_to_forget_or_to_keep_is_refused() -> None:
    ann, bo = _fact(subject="Ann"), _fact(subject="Bo")

    for parts in (([], [ann], [bo]), ([ann], [], [bo]), ([ann], [bo], [])):
        with pytest.raises(UsageError, match="maintain-train"):
            Split(*parts, [], [])


def test_the_hash_of_a_split_depends_on_order_and_part() -> None:
    a, b, c, d, e, f = (_fact(subject=name) for name in "ABCDEF")

    hashes = {
        Split([a], [b], [c, d], [e], [f]).items_hash,
        Split([b], [a], [c, d], [e], [f]).items_hash,
        Split([a], [b], [d, c], [e], [f]).items_hash,
        Split([a], [b], [c, d], [f], [e]).items_hash,
    }

    assert len(hashes) == 4


def test_the_subsets_of_a_split_cannot_be_reordered_by_those_who_share_it() -> None:
    split = Split([_fact(subject="A")], [_fact(subject="B")], [_fact(subject="C")], [], [_fact(subject="D")])

    assert all(isinstance(getattr(split, name), tuple) for name in Split.__dataclass_fields__)
