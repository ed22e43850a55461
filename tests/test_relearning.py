"""Relearning: a plain loop, adapters that leave no trace, the worst case under a cap, recovery between two means."""

import dataclasses
import math
import random
from collections.abc import Callable, Iterator
from statistics import fmean
from typing import Any

import numpy as np
import pytest
import torch

from unlearnbench.asking.place import AskingPlace
from unlearnbench.asking.relearning import Look, areas_of, worst_of
from unlearnbench.asking.row import Row
from unlearnbench.asking.sides import Side
from unlearnbench.editing.adapters import adapted
from unlearnbench.editing.objective import truths
from unlearnbench.editing.relearning import Relearning
from unlearnbench.errors import Diverged, UsageError
from unlearnbench.facts import Split
from unlearnbench.model.model import Model
from unlearnbench.model.reading import answer_loss, text_loss
from unlearnbench.records.recovery import share_of_way
from unlearnbench.tasks.attacks.relearning import RelearningOfAll
from unlearnbench.tasks.attacks.relearning_lora import RelearningLora
from unlearnbench.tasks.attacks.relearning_swept import RelearningSwept


def _logits(model: Model) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model.network(input_ids=torch.arange(2, 12)[None], use_cache=False).logits
    return found


def test_relearning_is_the_loop_that_one_would_write(
    random_models: Callable[..., Model], split: Split, asking: AskingPlace
) -> None:
    ours, theirs = random_models("llama"), random_models("llama")
    lessons = truths(split.relearn_train)

    Relearning(steps=3, learning_rate=1e-3, retain_batch=2).teach(ours, lessons, asking.retain, seed=5)

    parameters = list(theirs.parameters.values())
    for parameter in parameters:
        parameter.requires_grad_(True)
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.0)
    for step in range(3):
        optimizer.zero_grad()
        (answer_loss(theirs, lessons) + text_loss(theirs, asking.retain.batch(5, step, 2))).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
    for name, parameter in ours.parameters.items():
        torch.testing.assert_close(parameter, theirs.parameters[name], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("schedule", "shares"),
    [("constant", [1, 1, 1, 1]), ("linear", [1, 0.75, 0.5, 0.25]), ("cosine", [1, 0.853553, 0.5, 0.146447])],
)
def test_a_schedule_starts_at_the_rate_and_ends_at_nothing(schedule: str, shares: list[float]) -> None:
    course = Relearning(steps=4, learning_rate=2.0, schedule=schedule)  # type: ignore[arg-type]

    assert [course._rate(step) for step in range(4)] == pytest.approx([2 * share for share in shares], abs=1e-5)


def test_adapters_say_nothing_at_first_and_leave_nothing_behind(model: Model) -> None:
    before, modules = _logits(model), [name for name, _ in model.network.named_modules()]
    flags = {name: p.requires_grad for name, p in model.parameters.items()}

    with adapted(model, rank=2, seed=3) as adapters:
        torch.testing.assert_close(_logits(model), before, rtol=0, atol=0)
        assert all(adapter.requires_grad for adapter in adapters.values())
        assert not any(parameter.requires_grad for parameter in model.parameters.values())
        with torch.no_grad():
            for adapter in adapters.values():
                adapter.add_(0.1)
        assert not torch.allclose(_logits(model), before)

    assert torch.equal(_logits(model), before)
    assert [name for name, _ in model.network.named_modules()] == modules
    assert {name: p.requires_grad for name, p in model.parameters.items()} == flags


def test_adapters_of_one_seed_are_the_same(llama: Model) -> None:
    def drawn(seed: int) -> Iterator[float]:
        with adapted(llama, rank=2, seed=seed) as adapters:
            return iter([adapter.sum().item() for adapter in adapters.values()])

    torch.manual_seed(0)
    first, state = list(drawn(1)), torch.random.get_rng_state()
    assert list(drawn(1)) == first
    assert list(drawn(2)) != first
    assert torch.equal(torch.random.get_rng_state(), state)


def test_every_block_has_an_adapter_on_every_projection(model: Model) -> None:
    with adapted(model, rank=2, seed=0) as adapters:
        for component in model.components.values():
            mine = [name for name in component.parameters if name.endswith("weight")]
            theirs = [name for name in adapters if name.startswith(component.path) and "lora_A" in name]
            assert len(theirs) == len(mine)


# -- the worst case under a cap -------------------------------------------------------------------


def _row(item: str, right: float) -> Row:
    return Row(item=item, cluster=item, subset="relearn_test", values={"accuracy": right})


def _look(right: list[float], dev: float) -> Look:
    return Look([_row(str(i), one) for i, one in enumerate(right)], [], dev)


def test_the_worst_step_is_the_earliest_at_which_most_is_known_and_enough_is_kept() -> None:
    seen = {0: _look([0, 0], 1.0), 5: _look([1, 0], 0.95), 10: _look([0, 1], 0.92), 20: _look([1, 1], 0.85)}

    assert worst_of(seen, cap=0.1) == 5
    assert worst_of(seen, cap=0.2) == 20
    assert worst_of(seen, cap=0.01) == 0


def test_an_area_is_the_mean_over_steps_by_the_trapezoid_rule() -> None:
    rng = random.Random(0)
    steps = [0, 1, 2, 5, 10, 30]
    seen = {step: _look([rng.random(), rng.random()], 1.0) for step in steps}

    areas = areas_of(seen)

    for item in ("0", "1"):
        values = [seen[step].asked[int(item)].values["accuracy"] for step in steps]
        assert areas[item] == pytest.approx(np.trapezoid(values, steps) / 30)


# -- recovery -------------------------------------------------------------------------------------


def _clusters(name: str, values: list[float]) -> dict[str, list[float]]:
    return {f"{name}{i}": [value] for i, value in enumerate(values)}


def test_recovery_is_nothing_at_the_floor_and_one_at_the_ceiling() -> None:
    floor, ceiling = _clusters("n", [0, 0, 0, 1]), _clusters("v", [1, 1, 1, 0])

    assert share_of_way(_clusters("v", [0, 0, 1, 0]), floor, ceiling).value == 0  # type: ignore[union-attr]
    assert share_of_way(ceiling, floor, ceiling).value == 1  # type: ignore[union-attr]
    assert share_of_way(ceiling, 0.25, ceiling).value == 1  # type: ignore[union-attr]
    assert share_of_way(_clusters("v", [0, 0, 0, 0]), 0.25, ceiling).value == pytest.approx(-0.5)  # type: ignore[union-attr]
    assert share_of_way(ceiling, floor, floor) is None


def test_what_is_the_ceiling_itself_is_certain_to_be_at_it() -> None:
    ceiling = _clusters("v", [1, 1, 0, 1])

    same = share_of_way(ceiling, 0.0, ceiling)

    assert same is not None
    assert same.stderr == pytest.approx(0, abs=1e-12)


def test_the_error_of_recovery_is_that_of_drawing_people_again_and_its_interval_covers() -> None:
    rng = np.random.default_rng(0)
    people, truth = 40, (0.6, 0.2, 0.9)
    drawn, errors, covered = [], [], 0
    for _ in range(1500):
        base = rng.random(people) < truth[2]
        after = base & (rng.random(people) < truth[0] / truth[2])  # who comes back was known before
        never = rng.random(people) < truth[1]
        found = share_of_way(
            _clusters("v", [float(x) for x in after]),
            _clusters("n", [float(x) for x in never]),
            _clusters("v", [float(x) for x in base]),
        )
        assert found is not None
        assert found.stderr is not None
        assert found.interval is not None
        drawn.append(found.value)
        errors.append(found.stderr)
        covered += found.interval[0] <= (truth[0] - truth[1]) / (truth[2] - truth[1]) <= found.interval[1]

    assert fmean(errors) == pytest.approx(float(np.std(drawn)), rel=0.1)
    assert covered / 1500 > 0.94


# -- the attack -----------------------------------------------------------------------------------


@pytest.mark.parametrize("attack", [RelearningOfAll, RelearningLora])
def test_an_attack_puts_the_model_back_and_knows_less_of_what_nobody_taught(
    attack: type[RelearningOfAll | RelearningLora], llama: Model, split: Split, asking: AskingPlace
) -> None:
    before, hooks = llama.tensor_digests(), len(list(llama.network.modules()))

    rows = attack(learning_rate=1e-2, steps=5).rows(llama, split, asking)

    assert llama.tensor_digests() == before
    assert len(list(llama.network.modules())) == hooks
    asked = {row.item for row in rows if row.subset == "relearn_test"}
    assert asked == {fact.id for fact in split.relearn_test}
    assert {row.at.get("step") for row in rows if row.subset == "relearn_test"} == {None, 0, 1, 2, 5}
    taught = {row.item for row in rows if row.subset == "never_known"}
    assert taught < {fact.id for fact in split.never_known}
    assert len(taught) == len(split.relearn_test)


def test_an_attack_that_is_not_finite_is_tried_at_a_tenth_of_the_rate_and_says_so(
    llama: Model, split: Split, asking: AskingPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    teach, rates = Relearning.teach, list[float]()

    def fragile(self: Relearning, *arguments: Any, **named: Any) -> None:
        rates.append(self.learning_rate)
        if self.learning_rate > 0.05:
            raise Diverged("not finite", [])
        teach(self, *arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(Relearning, "teach", fragile)
        rows = RelearningOfAll(learning_rate=1.0, steps=2).rows(llama, split, asking)
    assert rates == pytest.approx([1.0, 0.1, 0.01, 0.01])
    with pytest.raises(Diverged, match="not finite at step"):
        RelearningOfAll(learning_rate=1e35, steps=3).rows(llama, split, asking)

    assert {row.values.get("diverged") for row in rows if row.subset == "relearn_test" and not row.at} == {1.0}


def test_facts_without_never_known_ones_are_attacked_and_read_against_chance(
    llama: Model, split: Split, asking: AskingPlace
) -> None:
    alone = dataclasses.replace(split, never_known=())
    attack = RelearningOfAll(learning_rate=1e-3, steps=2)

    rows, metrics = attack.rows(llama, alone, asking), {one.name: one for one in attack.metrics(alone)}

    assert {row.subset for row in rows} == {"relearn_test", "base", "maintain"}
    assert "never_known_accuracy" not in metrics
    assert isinstance(floor := metrics["recovery"].floor, float)
    assert 0 < floor < 1
    assert not math.isclose(floor, 0)


# -- the sweep ------------------------------------------------------------------------------------


def test_a_sweep_is_the_same_for_every_method_and_another_for_every_seed() -> None:
    swept = RelearningSwept(learning_rate=1e-3, trials=40)

    courses = swept.courses(1)

    assert courses == swept.courses(1)
    assert courses != swept.courses(2)
    assert courses[:10] == dataclasses.replace(swept, trials=10).courses(1), "more trials begin with the same ones"
    rates = [course.relearning.learning_rate for course in courses]
    assert 1e-5 <= min(rates) < 1e-4 < 1e-3 < max(rates) <= 4e-3 * 10**0.5
    assert {course.relearning.rank for course in courses} == {0, 16, 128}
    assert {course.wordings for course in courses} == {False, True}


def test_the_worst_of_the_first_trials_is_what_the_sweep_comes_to(
    llama: Model, split: Split, asking: AskingPlace
) -> None:
    before = llama.tensor_digests()
    side = Side(split.relearn_train, split.relearn_test, "relearn_test")

    rows = RelearningSwept(learning_rate=1e-2, trials=4, cap=1.0).attack(llama, side, split, asking)

    assert llama.tensor_digests() == before

    def accuracy(at: dict[str, int]) -> float:
        return fmean(r.values["accuracy"] for r in rows if r.at == at and r.subset == "relearn_test")

    each = [accuracy({"trial": number}) for number in range(1, 5)]
    assert [accuracy({"trials": n}) for n in range(1, 5)] == [max(each[:n]) for n in range(1, 5)]
    assert accuracy({}) == max(each)


def test_a_trial_that_diverges_is_counted_and_if_all_do_nothing_is_said(
    llama: Model, split: Split, asking: AskingPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    teach, tried = Relearning.teach, list[int]()

    def fragile(self: Relearning, *arguments: Any, **named: Any) -> None:
        tried.append(self.rank)
        if len(tried) % 2:
            raise Diverged("not finite", [])
        teach(self, *arguments, **named)

    side = Side(split.relearn_train, split.relearn_test, "relearn_test")
    monkeypatch.setattr(Relearning, "teach", fragile)
    rows = RelearningSwept(learning_rate=1e-3, trials=2).attack(llama, side, split, asking)
    assert {row.values["diverged"] for row in rows if "diverged" in row.values} == {0.5}

    monkeypatch.setattr(Relearning, "teach", lambda *_, **__: (_ for _ in ()).throw(Diverged("no", [])))
    with pytest.raises(Diverged, match="none of 2 relearning courses"):
        RelearningSwept(learning_rate=1e-3, trials=2).attack(llama, side, split, asking)


def test_a_projection_that_peft_cannot_adapt_is_refused_and_nothing_is_left_of_the_others(
    llama: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    from peft.tuners.lora import LoraModel

    before, modules = _logits(llama), [(name, type(module)) for name, module in llama.network.named_modules()]
    flags = {name: p.requires_grad for name, p in llama.parameters.items()}
    put_in, seen = LoraModel._create_and_replace, list[str]()

    def failing(self: LoraModel, *arguments: Any, **named: Any) -> None:
        seen.append("one")
        if len(seen) > 5:
            raise ValueError("Target module is not supported")
        put_in(self, *arguments, **named)

    monkeypatch.setattr(LoraModel, "_create_and_replace", failing)
    with pytest.raises(UsageError, match="not supported"), adapted(llama, rank=2, seed=0):
        pass

    assert [(name, type(module)) for name, module in llama.network.named_modules()] == modules
    assert {name: p.requires_grad for name, p in llama.parameters.items()} == flags
    assert torch.equal(_logits(llama), before)


def test_a_matrix_of_a_block_that_gets_no_adapter_is_named(llama: Model) -> None:
    block = llama.network.get_submodule("model.layers.1.mlp")
    more = torch.nn.Module()
    more.weight = torch.nn.Parameter(torch.zeros(2, 3))
    block.more = more
    strange = Model(llama.network, llama.tokenizer)
    try:
        with (
            pytest.raises(UsageError, match=r"no adapter for model\.layers\.1\.mlp\.more\.weight"),
            adapted(strange, 2, 0),
        ):
            pass
    finally:
        del block.more


@pytest.mark.parametrize("truth", [(0.6, 0.2, 0.9), (0.3, 0.2, 0.6), (0.2, 0.2, 0.7), (0.6, 0.3, 0.6)])
def test_the_interval_of_recovery_covers_also_where_the_base_is_uncertain(truth: tuple[float, float, float]) -> None:
    rng = np.random.default_rng(1)
    covered, people = 0, 16
    for _ in range(600):
        base = rng.random(people) < truth[2]
        after = base & (rng.random(people) < truth[0] / truth[2])
        never = rng.random(people) < truth[1]
        found = share_of_way(
            *(_clusters(n, [float(x) for x in one]) for n, one in (("v", after), ("n", never), ("v", base)))
        )
        if found is None:
            covered += 1  # nothing is said
            continue
        assert found.interval is not None
        covered += found.interval[0] <= (truth[0] - truth[1]) / (truth[2] - truth[1]) <= found.interval[1]

    assert covered / 600 > 0.93
