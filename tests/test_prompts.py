"""Prompts of the battery: each is about its fact, none says the answer, and each is scored as it should be."""

import math
from collections.abc import Callable

import pytest

from unlearnbench import registry
from unlearnbench.asking import templates
from unlearnbench.asking.place import AskingPlace
from unlearnbench.asking.sides import Side, sides_of
from unlearnbench.facts import Fact, Split
from unlearnbench.model.model import Model
from unlearnbench.model.scoring import Asked, score
from unlearnbench.tasks.attacks.prompts import Prompts, _ask_by_letter, _ask_reversed

SETS = [(name, variant) for name, entry in registry.fact_sets.items() for variant in entry.variants]


@pytest.mark.parametrize(("name", "variant"), SETS)
def test_every_prompt_is_about_its_fact_and_says_no_answer_that_is_not_shown_for_all(name: str, variant: str) -> None:
    split: Split = registry.fact_sets[name](variant).split(0)
    for side in sides_of(split):
        for prompt, template in Prompts(layout="inline")._templates(side, split).items():
            texts = {fact.id: template(fact) for fact in side.asked}
            said = [text for text in texts.values() if text is not None]
            assert len(set(said)) == len(said), "every fact has a prompt of its own"
            for fact in side.asked:
                text = texts[fact.id]
                if text is None:
                    continue
                mine = text.rpartition(" . ")[2].lower()
                assert f" {fact.answer.lower()}" not in mine.replace(fact.subject.lower(), ""), prompt
                assert fact.subject.lower().replace("-", "") in mine.replace("-", ""), prompt


def test_facts_before_a_prompt_say_each_answer_once_and_never_the_fact_itself(split: Split) -> None:
    shown = templates.one_of_each(split.maintain_train)

    assert len({fact.answer for fact in shown}) == len(shown) == len({fact.answer for fact in split.maintain_train})
    fact = shown[0]
    assert templates.after(shown, " . ")(fact) is not None
    assert fact.subject not in str(templates.after(shown, " . ")(fact)).rpartition(" . ")[0]


def test_in_context_facts_are_of_t_only(split: Split) -> None:
    side = Side(split.relearn_train, split.relearn_test, "relearn_test")
    template = Prompts(layout="lines")._templates(side, split)["in_context"]

    before = str(template(split.relearn_test[0])).split("\n")[:-1]

    told = {f"{fact.prompt} {fact.answer}" for fact in split.relearn_train}
    assert before
    assert set(before) <= told


def test_letters_are_dashed_and_capitals_are_capitals(small_split: Split) -> None:
    fact = small_split.relearn_train[0]

    assert templates.dashed(fact) == "Fact: A-n-n L-e-e plays the sport of"
    assert templates.capitals(fact) == "FACT: ANN LEE PLAYS THE SPORT OF"
    assert templates.framed("Q ", " A")(fact) == f"Q {fact.question} A"
    assert templates.worded(1)(fact) is None


def test_the_reversed_question_ranks_answers_by_how_likely_the_subject_is_after_each(
    llama: Model, small_split: Split
) -> None:
    facts = small_split.relearn_train

    rows = _ask_reversed(llama, facts, "relearn_test", 64)

    for row, fact in zip(rows, facts, strict=True):
        likely = [score(llama, [Asked(templates.about(c), (fact.subject,))], 1)[0].logprobs[0] for c in fact.choices]
        assert row.values["p_true"] == pytest.approx(math.exp(likely[0]), rel=1e-4)
        assert row.values["accuracy"] == float(max(likely) == likely[0])


def test_by_letter_every_option_stands_once_in_every_place(llama: Model, small_split: Split) -> None:
    facts = small_split.relearn_train

    rows = _ask_by_letter("inline", llama, facts, "relearn_test", 64)

    assert [row.item for row in rows] == [fact.id for fact in facts]
    for row in rows:
        assert set(row.choices) == {option for fact in facts for option in fact.options if fact.id == row.item}


def test_prompts_that_facts_have_no_form_for_are_left_out(
    random_models: Callable[..., Model], small_split: Split, asking: AskingPlace
) -> None:
    bare = Split(*([fact.for_training() for fact in part] for part in vars(small_split).values()))

    def asked(split: Split) -> set[str]:
        side = Side(split.relearn_train, split.relearn_test, "relearn_test")
        variants = Prompts(layout="inline").variants(random_models("llama"), side, split, asking)
        return {str(one.at["prompt"]) for one in variants}

    assert {"question", "wording_0", "multiple_choice"} <= asked(small_split)
    assert asked(bare) == asked(small_split) - {*templates.FRAMES, "wording_0", "multiple_choice"}
    assert isinstance(small_split.relearn_train[0], Fact)


@pytest.mark.parametrize(("name", "variant"), SETS)
def test_facts_of_t_are_shown_in_context_whatever_the_fact_set(
    name: str, variant: str, llama: Model, asking: AskingPlace
) -> None:
    split: Split = registry.fact_sets[name](variant).split(0)
    side = sides_of(split)[0]

    asked = {str(one.at["prompt"]) for one in Prompts(layout="inline").variants(llama, side, split, asking)}

    assert {"in_context", "few_shot", "own"} <= asked
