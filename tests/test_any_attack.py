"""What some attack brings back: fact by fact, with guessing priced by the other answers that attacks bring up."""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from unlearnbench.cli import main
from unlearnbench.records import store
from unlearnbench.records.any_attack import Found, Item, Said, any_attack, attacks_of

ANSWERS = ("true", "target", "a", "b", "c")


def _attack(asked: Sequence[str], base: Sequence[str] = ()) -> Found:
    """What the attack makes the model say of each fact of V; of the base all is true, unless it is said."""
    subsets = {"relearn_test": asked, "base": base or ["true"] * len(asked)}
    return {
        Item(subset, f"{number}", f"{number}"): Said(
            "true", "target", {name: float(name == answer) for name in ANSWERS}
        )
        for subset, answers in subsets.items()
        for number, answer in enumerate(answers)
    }


def test_a_fact_counts_that_one_attack_of_several_brings_back() -> None:
    one, other = _attack(["true", "target", "target", "a"]), _attack(["target", "true", "target", "target"])

    both = any_attack([one, other])

    assert both is not None
    others = (1 / 3) / 4  # of four facts, one is said to be one of three other answers
    assert both.value == pytest.approx((0.5 - others) / (1 - others))


def test_attacks_that_say_anything_bring_nothing_back_however_many_they_are() -> None:
    rng = random.Random(0)
    wrong = [name for name in ANSWERS if name != "target"]
    attacks = [_attack([rng.choice(wrong) for _ in range(2000)]) for _ in range(6)]

    found = any_attack(attacks)

    assert found is not None
    assert found.value == pytest.approx(0, abs=0.06)
    assert found.interval is not None
    assert found.interval[0] < 0 < found.interval[1]


def test_what_the_edit_makes_it_say_is_no_other_answer() -> None:
    found = any_attack([_attack(["target", "true"]), _attack(["target", "target"])])

    assert found is not None
    assert found.value == pytest.approx(0.5)


def test_a_common_answer_is_guessed_more_often_and_counts_more() -> None:
    items = {Item("relearn_test", f"{n}", f"{n}"): truth for n, truth in enumerate(["x"] * 9 + ["y"])}
    base = {Item("base", item.name, item.cluster): truth for item, truth in items.items()}
    choices = ("x", "y", "z")
    guessing: Found = {
        item: Said(truth, None, {name: float(name == (truth if item.subset == "base" else "x")) for name in choices})
        for item, truth in {**items, **base}.items()
    }

    found = any_attack([guessing])

    assert found is not None
    # Of x, nobody says y or z; of y, x is said, which weighs ten of eleven.
    assert found.value == pytest.approx((0.9 - 0.1 * 10 / 11) / (1 - 0.1 * 10 / 11))


def test_without_facts_that_all_attacks_were_asked_about_or_without_other_answers_nothing_is_said() -> None:
    two = {item: Said("true", "target", {"true": 1.0, "target": 0.0}) for item in _attack(["true"])}

    assert any_attack([]) is None
    assert any_attack([two]) is None
    assert any_attack([_attack(["true"]), {}]) is None


def test_facts_that_one_attack_was_not_asked_about_are_left_out() -> None:
    one = _attack(["true", "target"])
    less = {
        item: said for item, said in _attack(["target", "target"]).items() if item != Item("relearn_test", "0", "0")
    }

    found = any_attack([one, less])

    assert found is not None
    assert found.value == 0


def test_an_answer_that_one_attack_could_not_give_is_none_of_the_others() -> None:
    letters: Found = {
        item: Said("true", "target", {"true": 0.0, "target": 1.0, "a": 0.0}) for item in _attack(["a", "a"])
    }

    found = any_attack([_attack(["b", "b"]), {**_attack(["true", "true"]), **letters}])

    assert found is not None
    assert found.value == pytest.approx(0)


@pytest.mark.end_to_end
def test_a_table_ends_with_what_some_attack_brings_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tasks = "sports/forget,sports/logit_lens,sports/quantization"
    command = ["run", "--facts", "sports:people-16", "--methods", "none,oracle", "--tasks", tasks, "-o", str(tmp_path)]

    assert main(command) == 0

    shown = capsys.readouterr().out
    assert "any attack" in shown
    assert main(["leaderboard", str(tmp_path)]) == 0
    assert "any attack" in capsys.readouterr().out
    for path in store.result_files(tmp_path):
        record = store.load(path)
        attacks = attacks_of(record, store.load_recomputed(path).rows)
        assert len(attacks) == 2
        found = any_attack(list(attacks.values()))
        assert found is not None
        assert found.value == pytest.approx(1.0 if record.spec.method.name == "none" else 0.0, abs=0.4)
