"""Fair tuning: one rule, the same number of trials for everybody, T and maintain-dev only, and nothing done twice."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from unlearnbench import registry
from unlearnbench.cli import main
from unlearnbench.editing.finetuning import FineTuning
from unlearnbench.editing.method import Method
from unlearnbench.errors import UnknownName, UsageError
from unlearnbench.facts import Fact
from unlearnbench.model.scoring import known_share, score_directly
from unlearnbench.records import store
from unlearnbench.running import tuning
from unlearnbench.running.tuned_file import Trial, TunedFile, TunedMethod, best, front, read_tuned, tuned_words
from unlearnbench.running.words import parse_method


def _trial(known: float, kept: float, p_true: float = 0.1, invalid: str | None = None) -> Trial:
    return Trial(settings={}, edit_hash="", known=known, kept=kept, p_true=p_true, seconds=1.0, invalid=invalid)


# -- the rule ------------------------------------------------------------------------------------------


def test_the_strongest_forgetting_within_the_bound_is_chosen() -> None:
    trials = [_trial(0.9, 1.0), _trial(0.4, 0.95), _trial(0.2, 0.94), _trial(0.5, 1.0)]

    assert best(trials, 1.0, 0.2) == (1, True)
    assert best(trials, 1.0, 0.2, most_lost=0.1) == (2, True)
    assert best(trials, 0.98, 0.2) == (2, True)


def test_knowing_less_than_a_guess_is_no_merit_and_of_equals_what_keeps_most_is_chosen() -> None:
    trials = [_trial(0.0, 0.96), _trial(0.2, 0.98), _trial(0.1, 0.98, p_true=0.01)]

    assert best(trials, 1.0, 0.2) == (2, True)


def test_where_nothing_keeps_to_the_bound_the_best_point_is_chosen_and_said_to_be_none() -> None:
    trials = [_trial(0.9, 0.9), _trial(0.2, 0.8), _trial(0.0, 0.1)]

    assert best(trials, 1.0, 0.2) == (1, False)


def test_invalid_trials_are_never_chosen() -> None:
    trials = [_trial(0.0, 1.0, invalid="collapsed"), _trial(0.9, 1.0)]

    assert best(trials, 1.0, 0.2) == (1, True)
    with pytest.raises(ValueError, match="none of the trials is valid"):
        best(trials[:1], 1.0, 0.2)


def test_the_front_is_what_nothing_beats() -> None:
    trials = [_trial(*one) for one in ((0.9, 1.0), (0.5, 0.9), (0.5, 0.8), (0.6, 0.9), (0.1, 0.2), (0.5, 0.9))]

    assert front(trials) == [0, 1, 4]


# -- the grid ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(registry.methods))
def test_whatever_is_tuned_gets_nine_trials_and_others_none(name: str) -> None:
    entry: type[Method] = registry.methods[name]

    counts = [len(values) for values in entry.tuned_over.values()]

    assert counts in ([], [3, 3])
    assert all(key in {*entry.__dataclass_fields__} for key in entry.tuned_over)
    assert counts or not issubclass(entry, FineTuning)


# -- the command ---------------------------------------------------------------------------------------

WORDS = ["--facts", "sports:people-16", "--methods", "full_finetune[steps=2]", "graddiff[steps=1]"]


def _tune(path: Path, *more: str) -> int:
    return main(["tune", *WORDS, "--output", str(path), *more])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of all facts that a model is asked while methods are tuned."""
    ids = list[str]()

    def noting(model: Any, facts: Sequence[Fact], *rest: Any) -> Any:
        ids.extend(fact.id for fact in facts)
        return score_directly(model, facts, *rest)

    monkeypatch.setattr(tuning, "score_directly", noting)
    monkeypatch.setattr(tuning, "known_share", lambda model, facts: noting(model, facts) and known_share(model, facts))
    return ids


@pytest.mark.end_to_end
def test_every_method_is_tried_as_often_resumes_after_any_trial_and_runs_take_what_was_chosen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path, tries, real = tmp_path / "tuned" / "tiny.json", list[str](), tuning._tried

    def dying(search: Any, plan: Any) -> Trial:
        if len(tries) == 4:
            raise KeyboardInterrupt
        tries.append(plan.edit_hash)
        return real(search, plan)

    with monkeypatch.context() as patch:
        patch.setattr(tuning, "_tried", dying)
        assert _tune(path) == 130
    assert len(read_tuned(path).methods[0].trials) == 4
    capsys.readouterr()

    assert _tune(path) == 0
    told = capsys.readouterr()
    assert "14 trials to do" in told.err
    assert "full_finetune[" in told.out
    assert _tune(path) == 0
    assert "0 trials to do" in capsys.readouterr().err
    found = read_tuned(path)
    assert [len(one.trials) for one in found.methods] == [9, 9]
    assert {trial.settings["learning_rate"] for trial in found.methods[0].trials} == {5e-4, 1e-3, 2e-3}
    assert len({trial.edit_hash for one in found.methods for trial in one.trials}) == 18

    words = ["run", *WORDS, "none", "--tasks", "sports/forget", "--tuned", str(path), "-o", str(tmp_path / "out")]
    assert main(words) == 0
    labels = {one.label for _, one in store.records(tmp_path / "out")}
    assert labels >= {"none"}
    edits = [one.spec.method for _, one in store.records(tmp_path / "out") if one.label != "none"]
    assert len(edits) == 2
    for edit in edits:
        (chosen,) = (one.chosen for one in found.methods if one.method.startswith(edit.name))
        given = parse_method(chosen or "")
        assert edit.settings["learning_rate"] == getattr(given, "learning_rate")  # noqa: B009 – of any method
        assert edit.settings["forget_weight"] == getattr(given, "forget_weight")  # noqa: B009
    assert main([*words[:-4], "--tuned", str(path), "--methods", "npo"]) == 2
    assert "npo" in capsys.readouterr().err


@pytest.mark.end_to_end
def test_neither_v_nor_test_items_are_asked_and_another_model_has_another_file(
    tmp_path: Path, asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    from unlearnbench.running.words import parse_facts

    path = tmp_path / "tuned.json"
    assert main(["tune", *WORDS[:2], "--methods", "graddiff[steps=1]", "--output", str(path), "--seed", "7"]) == 0

    split = parse_facts("sports:people-16").split(7)
    assert {fact.id for fact in split.relearn_train} <= set(asked)
    assert {fact.id for fact in split.maintain_dev} <= set(asked)
    withheld = {fact.id for fact in (*split.relearn_test, *split.maintain_test, *split.never_known)}
    assert withheld.isdisjoint(asked)
    capsys.readouterr()
    assert _tune(path) == 2
    assert "name another --output" in capsys.readouterr().err


# -- the file ------------------------------------------------------------------------------------------


def _file(*methods: TunedMethod) -> TunedFile:
    return TunedFile(model="tiny", weights_sha256="w", facts="f", seed=1, kept_before=1.0, guess=0.2, methods=methods)


def test_words_are_replaced_by_what_was_chosen_and_references_stay() -> None:
    found = _file(TunedMethod(method="npo", chosen="npo[learning_rate=0.001]"), TunedMethod(method="rmu"))

    assert tuned_words(["none", "npo", "oracle"], found, "x.json") == ["none", "npo[learning_rate=0.001]", "oracle"]
    with pytest.raises(UnknownName, match="npoo"):
        tuned_words(["npoo"], found, "x.json")
    with pytest.raises(UsageError, match="rmu has no choice"):
        tuned_words(["rmu"], found, "x.json")


def test_a_file_is_what_was_written_and_another_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "tuned.json"
    found = _file(TunedMethod(method="npo", trials=(_trial(0.5, 0.5), _trial(0.1, 0.9, invalid="diverged"))))

    found.write(path)

    assert read_tuned(path) == found
    assert [one.name for one in path.parent.iterdir()] == ["tuned.json"]
    for text in ("{", json.dumps({"format": "another"}), "[]"):
        path.write_text(text)
        with pytest.raises(UsageError, match=r"tuned\.json"):
            read_tuned(path)
    with pytest.raises(UsageError, match="there is no file of tuned settings"):
        read_tuned(tmp_path / "none.json")


@pytest.mark.parametrize("word", ["none", "oracle"])
def test_what_cannot_be_tuned_is_refused(word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tune", *WORDS[:2], "--methods", word, "--output", str(tmp_path / "t.json")]) == 2

    assert "9 trials" in capsys.readouterr().err
