"""What every method owes: it only looks while it localizes, writes only where it said, and sees no test items."""

import dataclasses
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pytest

from unlearnbench import registry
from unlearnbench.editing.adversary import Adversary
from unlearnbench.editing.finetuning import FineTuning
from unlearnbench.editing.latent import Latent
from unlearnbench.editing.localization import Localization
from unlearnbench.editing.localizer import Localizer
from unlearnbench.editing.method import Method
from unlearnbench.editing.objective import Objective
from unlearnbench.editing.place import EditingPlace
from unlearnbench.editing.retain import load_retain
from unlearnbench.errors import UsageError
from unlearnbench.facts import ItemsWithheld, Split, TrainingSplit
from unlearnbench.model.loading import load
from unlearnbench.model.model import Model
from unlearnbench.model.source import locate
from unlearnbench.settings import made
from unlearnbench.tasks.facts.sports import Sports


@pytest.fixture(params=("gemma2", "gpt2", "gpt_neox"))
def architecture(request: pytest.FixtureRequest) -> str:
    """Those that differ most: norms behind and caps, fused and transposed projections, sublayers side by side.

    Llama and Qwen are what the other tests here run on.
    """
    name: str = request.param
    return name


every_method = pytest.mark.parametrize("name", list(registry.methods))
COURSE = {"steps": 2, "batch_size": 4, "retain_batch": 2}
QUICK = {**COURSE, "repair_steps": 2, "value_steps": 2, "prefixes": 2}
EASY = {"least": 0.0, "steps": 2, "relearning_steps": 0}


def _quick(name: str, place: EditingPlace) -> Method:
    """The method with two short steps; skips the test where it cannot be run here."""
    entry: type[Method] = registry.methods[name]
    mine = {field.name for field in dataclasses.fields(entry)}
    method = entry(**{key: value for key, value in QUICK.items() if key in mine})
    parts: dict[str, Any] = {}
    if isinstance(localizer := getattr(method, "localizer", None), Localizer):
        parts["localizer"] = _undemanding(localizer)
    if isinstance(adversary := getattr(method, "adversary", None), Adversary):
        parts["adversary"] = _brief(adversary)
    return _able(dataclasses.replace(method, **parts).resolved(place.source), place)


def _where(method: Method, model: Model, split: TrainingSplit, place: EditingPlace) -> Localization:
    """Where it writes; skips the test on an architecture that the method refuses, which cannot be Llama's."""
    try:
        return method.localize(model, split, place)
    except UsageError as error:
        if type(model.network).__name__.startswith("Llama"):
            raise
        pytest.skip(str(error))


def _able(method: Method, place: EditingPlace) -> Method:
    reason = method.skip(place.facts, place.source)
    if reason is not None:
        pytest.skip(reason)
    return method


def _undemanding(localizer: Localizer) -> Localizer:
    """The localizer, quick, and without what it and its own localizers ask of a mechanism: random models have none."""
    changes: dict[str, Any] = {key: value for key, value in EASY.items() if hasattr(localizer, key)}
    for field in dataclasses.fields(localizer):
        if isinstance(inner := getattr(localizer, field.name), Localizer):
            changes[field.name] = _undemanding(inner)
    return dataclasses.replace(localizer, **changes)


def _brief(adversary: Adversary) -> Adversary:
    """The adversary with two steps of its own, if it takes any."""
    return dataclasses.replace(adversary, inner_steps=2) if isinstance(adversary, Latent) else adversary


def _composed(localizer: str, objective: str, adversary: str, place: EditingPlace) -> Method:
    """Fine-tuning of these three parts."""
    parts = {
        "localizer": _undemanding(made(Localizer, localizer)),
        "objective": made(Objective, objective),
        "adversary": _brief(made(Adversary, adversary)),
    }
    return _able(FineTuning(**COURSE, **parts).resolved(place.source), place)  # type: ignore[abstract]


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


def _changed_by(method: Method, model: Model, split: Split, place: EditingPlace) -> tuple[set[str], Localization]:
    """The tensors that an edit changed, and where it said it would."""
    before = model.tensor_digests()
    where = _where(method, model, split.for_methods(), place)
    method.edit(model, split.for_methods(), where, place)
    after = model.tensor_digests()
    return {tensor for tensor in before if before[tensor] != after[tensor]}, where


def _hooks(model: Model) -> list[int]:
    return [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.network.modules()]


@every_method
def test_localizing_leaves_the_model_as_it_was(name: str, model: Model, split: Split, place: EditingPlace) -> None:
    method, before, hooks = _quick(name, place), model.tensor_digests(), _hooks(model)
    flags = {n: p.requires_grad for n, p in model.parameters.items()}

    where = _where(method, model, split.for_methods(), place)

    assert where.tensors <= set(model.parameters)
    assert set(where.components) <= set(model.places)
    assert model.tensor_digests() == before
    assert {n: p.requires_grad for n, p in model.parameters.items()} == flags
    assert _hooks(model) == hooks


@every_method
def test_an_edit_changes_something_and_nothing_outside_its_localization(
    name: str, model: Model, split: Split, place: EditingPlace
) -> None:
    hooks = _hooks(model)

    changed, where = _changed_by(_quick(name, place), model, split, place)

    assert changed <= where.tensors
    assert bool(changed) is bool(where.tensors)
    assert _hooks(model) == hooks


def _compose(localizer: str, objective: str, adversary: str, model: Model, split: Split, place: EditingPlace) -> None:
    changed, where = _changed_by(_composed(localizer, objective, adversary, place), model, split, place)

    assert changed
    assert changed <= where.tensors


@pytest.mark.parametrize("objective", list(registry.objectives))
@pytest.mark.parametrize("localizer", list(registry.localizers))
def test_every_localizer_composes_with_every_objective(
    localizer: str, objective: str, llama: Model, split: Split, place: EditingPlace
) -> None:
    _compose(localizer, objective, "none", llama, split, place)


@pytest.mark.parametrize("adversary", list(registry.adversaries))
@pytest.mark.parametrize("localizer", list(registry.localizers))
def test_every_localizer_composes_with_every_adversary(
    localizer: str, adversary: str, llama: Model, split: Split, place: EditingPlace
) -> None:
    _compose(localizer, "edit", adversary, llama, split, place)


@dataclass(frozen=True)
class Taught:
    """A model that knows the facts, and where each localizer points in it."""

    model: Model
    place: EditingPlace
    where: dict[str, Localization]


@pytest.fixture(scope="module")
def taught(split: Split) -> Taught:
    """The embedded model; both localizers are asked once."""
    located = locate("tiny", {}, None)
    model = load(located)
    place = EditingPlace(Sports("people-16").card, located.source, load_retain(model, "world", split), seed=7)
    localizers = {word: made(Localizer, word) for word in ("everything", "fact_lookup")}
    where = {word: one.localize(model, split.for_methods(), place) for word, one in localizers.items()}
    return Taught(model, place, where)


@pytest.mark.parametrize("adversary", list(registry.adversaries))
@pytest.mark.parametrize("objective", list(registry.objectives))
@pytest.mark.parametrize("localizer", ["everything", "fact_lookup"])
def test_five_steps_of_every_objective_against_every_adversary_move_a_model_that_knows_the_facts(
    localizer: str, objective: str, adversary: str, taught: Taught, split: Split
) -> None:
    method = dataclasses.replace(_composed(localizer, objective, adversary, taught.place), steps=5)  # type: ignore[type-var]
    model, where = taught.model, taught.where[localizer]

    with model.restored(where.tensors):
        before = model.tensor_digests()
        history = method.edit(model, split.for_methods(), where, taught.place)
        after = model.tensor_digests()

    assert len(history) == 5
    assert all(math.isfinite(value) for step in history for value in step.values())
    changed = {tensor for tensor in before if before[tensor] != after[tensor]}
    assert changed
    assert changed <= where.tensors
    assert model.tensor_digests() == before


@pytest.mark.parametrize("objective", list(registry.objectives))
def test_an_objectives_terms_are_finite_and_leave_the_model_as_it_was(
    objective: str, model: Model, split: Split, place: EditingPlace
) -> None:
    before, hooks = model.tensor_digests(), _hooks(model)
    method = _composed("everything", objective, "none", place)
    place = dataclasses.replace(place, reference=model.frozen_copy(model.parameters))

    terms = method.objective.terms(model, split.for_methods(), place)  # type: ignore[attr-defined]

    assert model.tensor_digests() == before
    assert _hooks(model) == hooks
    assert [term.name for term in terms if term.about == "forget"], "nothing of it is about the facts to forget"
    assert len({term.name for term in terms}) == len(terms)


@pytest.mark.parametrize("localizer", list(registry.localizers))
def test_a_localizer_is_a_function_of_the_seed_and_keeps_to_its_budget(
    localizer: str, random_models: Callable[..., Model], architecture: str, split: Split, place: EditingPlace
) -> None:
    entry = _undemanding(made(Localizer, localizer))
    if reason := entry.skip(place.facts, place.source):
        pytest.skip(reason)
    budget = getattr(entry, "budget", None)

    for seed in range(3):
        there = dataclasses.replace(place, seed=seed)
        found = [entry.localize(random_models(architecture), split.for_methods(), there) for _ in range(2)]

        assert found[0] == found[1]
        assert found[0].tensors
        model = random_models(architecture)
        largest = max(component.size for component in model.components.values())
        assert budget is None or model.size(found[0].tensors) <= budget * model.block_size + largest / 2


@every_method
def test_the_same_seed_gives_the_same_weights(
    name: str, random_models: Callable[..., Model], architecture: str, split: Split, place: EditingPlace
) -> None:
    method = _quick(name, place)

    def edited() -> tuple[Localization, dict[str, str]]:
        model = random_models(architecture)
        where = _where(method, model, split.for_methods(), place)
        method.edit(model, split.for_methods(), where, place)
        return where, model.tensor_digests()

    assert edited() == edited()


@every_method
def test_a_method_needs_no_withheld_items(name: str, llama: Model, split: Split, place: EditingPlace) -> None:
    method, seen = _quick(name, place), _watched(split)

    where = method.localize(llama, seen, place)
    method.edit(llama, seen, where, place)

    assert seen.asked == []
    with pytest.raises(ItemsWithheld):
        _ = seen.maintain_test
    assert seen.asked == ["maintain_test"]


def test_there_is_no_way_from_where_a_method_works_to_the_items_that_only_tasks_see(
    split: Split, place: EditingPlace
) -> None:
    withheld = {fact.subject for fact in split.maintain_test}
    seen, waiting = set[int](), [place, place.facts, split.for_methods()]
    reached = set[str]()
    while waiting:  # everything that can be had from here by attribute, item or bound method
        one = waiting.pop()
        if id(one) in seen or isinstance(one, str | int | float | bytes | type(None) | type):
            continue
        seen.add(id(one))
        if getattr(one, "subject", None) is not None:
            reached.add(one.subject)
        inside = one.values() if isinstance(one, dict) else one
        waiting += inside if isinstance(inside, Iterable) else ()
        waiting += vars(one).values() if hasattr(one, "__dict__") else ()

    assert reached >= {fact.subject for fact in split.forget}
    assert reached & withheld == set()
    assert not hasattr(place.facts, "split")


@every_method
def test_a_method_works_on_facts_without_their_held_out_forms(
    name: str, llama: Model, split: Split, place: EditingPlace
) -> None:
    method = _quick(name, place)
    stripped = TrainingSplit(*([f.for_training() for f in part] for part in vars(split.for_methods()).values()))

    def edited(model: Model, facts: TrainingSplit) -> dict[str, str]:
        with model.restored():
            method.edit(model, facts, method.localize(model, facts, place), place)
            return model.tensor_digests()

    assert edited(llama, stripped) == edited(llama, split.for_methods())


@pytest.mark.parametrize("name", [n for n, m in registry.methods.items() if issubclass(m, FineTuning)])
def test_a_method_takes_the_models_learning_rate_unless_it_is_given_one(name: str, place: EditingPlace) -> None:
    entry: type[FineTuning] = registry.methods[name]

    assert entry().resolved(place.source).learning_rate == place.source.learning_rate
    assert entry(learning_rate=0.5).resolved(place.source).learning_rate == 0.5
    with pytest.raises(ValueError, match="resolved"):
        entry().course()


def test_facts_without_what_an_objective_needs_are_refused_when_planned(place: EditingPlace) -> None:
    bare = dataclasses.replace(place.facts, forms=frozenset())

    reason = FineTuning(objective=made(Objective, "edit")).skip(bare, place.source)

    assert reason is not None
    assert "edit_target" in reason
    assert FineTuning(objective=made(Objective, "log1mp")).skip(bare, place.source) is None
