"""What some attack brings back: fact by fact, with guessing priced by what is found of never-known facts."""

import random
from pathlib import Path
from statistics import fmean

import pytest

from unlearnbench.cli import main
from unlearnbench.records import store
from unlearnbench.records.any_attack import Found, Item, any_attack, attacks_of


def _found(subset: str, right: list[float]) -> dict[Item, float]:
    return {Item(subset, f"{subset}{n}", f"{subset}{n}"): value for n, value in enumerate(right)}


def _attack(asked: list[float], never: list[float], base: list[float]) -> Found:
    v = _found("relearn_test", asked)
    return v | _found("never_known", never) | _found("base", base)


def test_a_fact_counts_that_one_attack_of_several_brings_back() -> None:
    one = _attack([1, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1])
    other = _attack([0, 1, 0, 0], [0, 0, 0, 1], [1, 1, 1, 0])

    both = any_attack([one, other])

    assert both is not None
    assert both.value == pytest.approx((0.5 - 0.25) / (1 - 0.25))


def test_guessing_often_is_no_attack() -> None:
    rng = random.Random(0)
    attacks = [
        _attack(
            [float(rng.random() < 0.2) for _ in range(2000)],
            [float(rng.random() < 0.2) for _ in range(2000)],
            [1.0] * 2000,
        )
        for _ in range(4)
    ]

    found = any_attack(attacks)

    assert found is not None
    assert found.value == pytest.approx(0, abs=0.06)
    assert fmean(max(one[item] for one in attacks) for item in attacks[0] if item.subset == "relearn_test") > 0.5


def test_without_never_known_facts_or_with_too_many_guesses_nothing_is_said() -> None:
    assert any_attack([]) is None
    assert any_attack([_found("relearn_test", [1.0]) | _found("base", [1.0])]) is None
    assert any_attack([_attack([1, 1], [1, 1], [1, 1])]) is None


def test_facts_that_one_attack_was_not_asked_about_are_left_out() -> None:
    one = _attack([1, 0], [0, 0], [1, 1])
    less = {item: value for item, value in _attack([0, 0], [0, 0], [1, 1]).items() if item.name != "relearn_test0"}

    found = any_attack([one, less])

    assert found is not None
    assert found.value == 0


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
        attacks = attacks_of(record, path.parent)
        assert len(attacks) == 2
        found = any_attack(list(attacks.values()))
        assert found is not None
        assert found.value == pytest.approx(1.0 if record.spec.method.name == "none" else 0.0, abs=0.4)
