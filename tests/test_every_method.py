"""What every method owes: it only looks while it localizes, writes only where it said, and sees no test items."""

import dataclasses
from collections.abc import Callable

import pytest

from unlearnbench import registry
from unlearnbench.editing.localization import Localization
from unlearnbench.editing.method import Method, Workplace
from unlearnbench.editing.objectives import OBJECTIVES
from unlearnbench.facts import ItemsWithheld, Split, TrainingSplit
from unlearnbench.model.model import Model

pytestmark = pytest.mark.parametrize("name", list(registry.methods))


def _quick(name: str, place: Workplace, objective: str = "unlearn") -> Method:
    """The method with two short steps; skips the test where it cannot be run here."""
    entry: type[Method] = registry.methods[name]
    method = entry(steps=2, batch_size=4, retain_batch=2, objective=objective).resolved(place.source)
    reason = method.skip(place.facts, place.source)
    if reason is not None:
        pytest.skip(reason)
    return method


def _seeded(place: Workplace, seed: int) -> Workplace:
    return dataclasses.replace(place, seed=seed)


class Watched(TrainingSplit):
    """A training split that remembers whether withheld items were asked for."""

    asked: list[str]

    @property
    def maintain_test(self) -> list[object]:  # type: ignore[override]
        """Withheld."""
        self.asked.append("maintain_test")
        raise ItemsWithheld("maintain_test")

    @property
    def never_known(self) -> list[object]:  # type: ignore[override]
        """Withheld."""
        self.asked.append("never_known")
        raise ItemsWithheld("never_known")


def _watched(split: Split) -> Watched:
    watched = Watched(**vars(split.for_methods()))
    object.__setattr__(watched, "asked", [])
    return watched


def test_localizing_leaves_the_model_as_it_was(name: str, model: Model, split: Split, place: Workplace) -> None:
    method, before = _quick(name, place), model.tensor_digests()
    flags = {n: p.requires_grad for n, p in model.parameters.items()}
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.network.modules()]

    where = method.localize(model, split.for_methods(), place)

    assert where.tensors <= set(model.parameters)
    assert set(where.components) <= set(model.components)
    assert model.tensor_digests() == before
    assert {n: p.requires_grad for n, p in model.parameters.items()} == flags
    assert [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.network.modules()] == hooks


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_an_edit_changes_something_and_nothing_outside_its_localization(
    name: str, model: Model, split: Split, place: Workplace, objective: str
) -> None:
    method, before = _quick(name, place, objective), model.tensor_digests()
    where = method.localize(model, split.for_methods(), place)

    method.edit(model, split.for_methods(), where, place)

    after = model.tensor_digests()
    changed = {tensor for tensor in before if before[tensor] != after[tensor]}
    assert changed <= where.tensors
    assert bool(changed) is bool(where.tensors)
    assert changed or not method.trains


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_same_seed_gives_the_same_weights(
    name: str,
    random_models: Callable[..., Model],
    architecture: str,
    split: Split,
    place: Workplace,
    objective: str,
) -> None:
    method = _quick(name, place, objective)

    def edited() -> tuple[Localization, dict[str, str]]:
        model = random_models(architecture)
        where = method.localize(model, split.for_methods(), place)
        method.edit(model, split.for_methods(), where, place)
        return where, model.tensor_digests()

    assert edited() == edited()


def test_a_method_needs_no_withheld_items(name: str, llama: Model, split: Split, place: Workplace) -> None:
    method, seen = _quick(name, place), _watched(split)

    where = method.localize(llama, seen, place)
    method.edit(llama, seen, where, place)

    assert seen.asked == []
    with pytest.raises(ItemsWithheld):
        _ = seen.maintain_test
    assert seen.asked == ["maintain_test"]


def test_a_method_works_on_facts_without_their_held_out_forms(
    name: str, llama: Model, split: Split, place: Workplace
) -> None:
    method = _quick(name, place)
    stripped = TrainingSplit(*([f.for_training() for f in part] for part in vars(split.for_methods()).values()))

    def edited(model: Model, facts: TrainingSplit) -> dict[str, str]:
        with model.restored():
            method.edit(model, facts, method.localize(model, facts, place), place)
            return model.tensor_digests()

    assert edited(llama, stripped) == edited(llama, split.for_methods())


def test_a_method_takes_the_models_learning_rate_unless_it_is_given_one(name: str, place: Workplace) -> None:
    entry: type[Method] = registry.methods[name]

    assert entry().resolved(place.source).learning_rate == place.source.learning_rate
    assert entry(learning_rate=0.5).resolved(place.source).learning_rate == 0.5
    with pytest.raises(ValueError, match="resolved"):
        entry().course()


def test_a_method_within_a_budget_keeps_to_it(name: str, model: Model, split: Split, place: Workplace) -> None:
    method = _quick(name, place)
    budget = getattr(method, "budget", None)

    for seed in range(3):
        where = method.localize(model, split.for_methods(), _seeded(place, seed))

        assert where.tensors or not method.trains
        assert budget is None or model.size(where.tensors) <= budget * model.block_size
