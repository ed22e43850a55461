"""Training to matched success: where it stops, what it looks at, and what it says."""

import dataclasses
from collections.abc import Callable, Sequence

import pytest

from unlearnbench.editing.goal import EVERY, LOST, Goal
from unlearnbench.editing.localization import Localization
from unlearnbench.editing.method import History
from unlearnbench.editing.objective import Objective
from unlearnbench.editing.place import EditingPlace
from unlearnbench.facts import Fact, Split
from unlearnbench.methods.full_finetune import FullFinetune
from unlearnbench.methods.objectives.edit import Edit
from unlearnbench.methods.objectives.log1mp import Log1mp
from unlearnbench.model.model import Model
from unlearnbench.model.scoring import Asked, score
from unlearnbench.settings import made

METHOD = FullFinetune(steps=60, learning_rate=1e-2, batch_size=8, retain_batch=2, until=1.0)


def _said(model: Model, facts: Sequence[Fact]) -> list[str]:
    found = score(model, [Asked(fact.prompt, fact.choices) for fact in facts], 8)
    return [fact.choices[one.decision] for fact, one in zip(facts, found, strict=True)]


def test_training_stops_at_the_first_look_at_which_all_of_t_says_its_target(
    llama: Model, small_split: Split, place: EditingPlace
) -> None:
    seen = small_split.for_methods()

    with llama.restored():
        history = METHOD.edit(llama, seen, Localization.everywhere(llama), place)
        said = _said(llama, small_split.relearn_train)

    assert said == [fact.edit_target for fact in small_split.relearn_train]
    looks = [row for row in history if "reached" in row]
    assert [row["step"] for row in looks] == [*range(EVERY, len(history) + 1, EVERY)]
    assert len(history) < METHOD.steps
    assert all(row["reached"] < 1.0 for row in looks[:-1])
    assert looks[-1]["reached"] == 1.0


def test_looking_changes_nothing_of_the_training(llama: Model, small_split: Split, place: EditingPlace) -> None:
    seen, where = small_split.for_methods(), Localization.everywhere(llama)
    with llama.restored():
        stopped = METHOD.edit(llama, seen, where, place)
    with llama.restored():
        whole = dataclasses.replace(METHOD, until=None).edit(llama, seen, where, place)

    losses = [{key: row[key] for key in whole[0]} for row in stopped]
    assert losses == whole[: len(stopped)]
    assert len(whole) == METHOD.steps


def test_who_meets_the_cap_says_how_far_it_got(llama: Model, small_split: Split, place: EditingPlace) -> None:
    method = dataclasses.replace(METHOD, steps=7, learning_rate=0.0)

    with llama.restored():
        history = method.edit(llama, small_split.for_methods(), Localization.everywhere(llama), place)

    assert [row["step"] for row in history if "reached" in row] == [5, 7]
    assert history[-1]["reached"] < 1
    assert history[-1]["kept"] == history[4]["kept"]


def test_neither_v_nor_test_items_decide_when_to_stop(llama: Model, small_split: Split) -> None:
    seen = small_split.for_methods()
    others = dataclasses.replace(seen, forget=seen.relearn_train)

    looks = [Goal(llama, Edit(), split, 1.0).look() for split in (seen, others)]

    assert looks[0] == looks[1]


def test_success_is_not_enough_where_maintain_dev_was_lost(llama: Model, small_split: Split) -> None:
    goal = Goal(llama, Edit(), small_split.for_methods(), 0.9)
    goal.before = 1.0

    assert goal.met({"reached": 0.9, "kept": 1 - LOST})
    assert not goal.met({"reached": 0.9, "kept": 1 - LOST - 0.01})
    assert not goal.met({"reached": 0.89, "kept": 1.0})


def test_exactly_one_in_twenty_may_be_lost(llama: Model, small_split: Split) -> None:
    goal = Goal(llama, Edit(), small_split.for_methods(), 0.9)

    for known in range(1, 21):
        goal.before = known / 20
        assert goal.met({"reached": 1.0, "kept": (known - 1) / 20})


def test_a_split_that_names_no_t_is_looked_at_as_a_whole(llama: Model, small_split: Split) -> None:
    seen = small_split.for_methods()
    whole, unnamed = (dataclasses.replace(seen, relearn_train=t) for t in (seen.forget, ()))

    looks = [Goal(llama, Edit(), split, 1.0).look() for split in (whole, unnamed)]

    assert looks[0] == looks[1]


def test_without_facts_to_develop_on_nothing_is_lost(llama: Model, small_split: Split) -> None:
    split = dataclasses.replace(small_split.for_methods(), maintain_dev=[])

    assert Goal(llama, Edit(), split, 1.0).look()["kept"] == 1.0


def test_editing_reaches_its_target_and_unlearning_anything_but_the_truth(small_split: Split) -> None:
    fact = small_split.relearn_train[0]

    assert [Edit().reached(fact, choice) for choice in fact.choices] == [c == fact.edit_target for c in fact.choices]
    assert [Log1mp().reached(fact, choice) for choice in fact.choices] == [c != fact.answer for c in fact.choices]


def _watching(**changes: object) -> FullFinetune:
    return dataclasses.replace(METHOD, **{"until": None, "steps": 12, "learning_rate": 1e-2, **changes})  # type: ignore[arg-type]


def test_a_look_every_so_many_steps_is_in_the_history_and_changes_nothing(
    random_models: Callable[..., Model], small_split: Split, place: EditingPlace
) -> None:
    seen = small_split.for_methods()

    def edited(method: FullFinetune) -> tuple[History, dict[str, str]]:
        model = random_models("llama")
        return method.edit(model, seen, Localization.everywhere(model), place), model.tensor_digests()

    (history, weights), (plain, same) = edited(_watching(look_every=3)), edited(_watching())

    assert [row["step"] for row in history if "kept" in row] == [3, 6, 9, 12]
    assert all({"reached", "known", "kept"} <= set(row) for row in history if "kept" in row)
    assert weights == same
    assert not any("kept" in row for row in plain)


def test_training_goes_back_to_the_last_look_at_which_not_too_much_was_lost(
    random_models: Callable[..., Model], small_split: Split, place: EditingPlace
) -> None:
    seen = dataclasses.replace(small_split.for_methods(), maintain_dev=small_split.maintain_train)
    model, other = random_models("llama"), random_models("llama")
    for one in (model, other):  # so that there is something to lose
        teach = _watching(objective=made(Objective, "edit"), steps=40, forget_weight=0.0)
        teach.edit(one, seen, Localization.everywhere(one), place)
    method = _watching(
        objective=made(Objective, "gradient_ascent"), steps=30, most_lost=0.4, look_every=1, learning_rate=3e-3,
        maintain_weight=0.0, retain_weight=0.0,
    )  # fmt: skip

    history = method.edit(model, seen, Localization.everywhere(model), place)

    assert history[0]["kept"] == 1.0
    assert history[-1]["kept"] < 0.6
    assert history[-1]["back_to"] == len(history) - 1
    last = history[-1]["back_to"]
    with pytest.MonkeyPatch.context() as patch:  # the same schedule, ended at that step
        patch.setattr(Goal, "over", lambda _goal, step, _of, _row: step == last)
        method.edit(other, seen, Localization.everywhere(other), place)
    assert other.tensor_digests() == model.tensor_digests()


def test_an_edit_that_loses_too_much_at_the_first_look_changes_nothing(
    llama: Model, small_split: Split, place: EditingPlace
) -> None:
    seen, before = small_split.for_methods(), llama.tensor_digests()
    method = _watching(most_lost=0.0, look_every=1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Goal, "look", lambda _goal: {"reached": 1.0, "known": 0.0, "kept": -1.0})
        history = method.edit(llama, seen, Localization.everywhere(llama), place)

    assert history[-1]["back_to"] == 0
    assert llama.tensor_digests() == before
