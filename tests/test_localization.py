"""Localizations: which tensors a method may write to, and how a budget decides."""

import re
from collections.abc import Callable

import pytest

from unlearnbench.editing.localization import Localization
from unlearnbench.errors import UsageError
from unlearnbench.model.model import Model


def _falling(model: Model) -> dict[str, float]:
    """Scores that fall with depth, the first component's being the best."""
    return {name: -float(place) for place, name in enumerate(model.components)}


@pytest.mark.parametrize("budget", [0.2, 0.35, 0.5, 0.99, 1.0])
def test_the_best_components_come_as_near_to_the_budget_as_whole_ones_can(model: Model, budget: float) -> None:
    where = Localization.top(model, _falling(model), budget)

    used, allowed = model.size(where.tensors), budget * model.block_size
    ranking = list(model.components)
    assert list(where.components) == ranking[: len(where.components)]
    assert abs(used - allowed) <= abs(used - model.components[where.components[-1]].size - allowed)
    if len(where.components) < len(ranking):
        following = model.components[ranking[len(where.components)]]
        assert abs(used - allowed) <= abs(used + following.size - allowed)


def test_a_budget_of_one_takes_every_component(model: Model) -> None:
    where = Localization.top(model, _falling(model), 1.0)

    assert where.components == tuple(model.components)
    assert model.size(where.tensors) == model.block_size


def test_components_come_best_first_with_the_scores_of_all(model: Model) -> None:
    scores = {"attention.0": 0.1, "mlp.3": 0.9, "attention.2": 0.5}

    where = Localization.top(model, scores, 1.0)

    assert where.components == ("mlp.3", "attention.2", "attention.0")
    assert where.scores == scores
    expected = {name for c in scores for name in model.components[c].parameters}
    assert where.tensors == expected


def test_equal_scores_are_taken_in_order_of_name(model: Model) -> None:
    where = Localization.top(model, dict.fromkeys(reversed(model.components), 0.0), 1.0)

    assert where.components == tuple(sorted(model.components))


def test_no_component_is_passed_over_for_a_smaller_one(llama: Model) -> None:
    mlp, attention = llama.components["mlp.0"].size, llama.components["attention.0"].size
    assert mlp > attention
    scores = {"mlp.0": 3.0, "mlp.1": 2.0, "attention.1": 1.0}

    where = Localization.top(llama, scores, (mlp + 0.9 * attention) / llama.block_size)

    assert where.components == ("mlp.0",)


def test_a_budget_too_small_for_anything_names_the_smallest_that_works(model: Model) -> None:
    for scores in (_falling(model), {"mlp.0": 1.0}, {"attention.0": 1.0}):
        with pytest.raises(UsageError) as refused:
            Localization.top(model, scores, 0.001)
        stated = re.search(r"the smallest allowed budget is (0\.\d+)", refused.value.hint)

        assert stated is not None
        where = Localization.top(model, scores, float(stated[1]))
        assert where.components == (max(scores, key=lambda name: scores[name]),)


def test_the_refusal_of_a_budget_says_what_it_is_a_share_of(llama: Model) -> None:
    with pytest.raises(UsageError) as refused:
        Localization.top(llama, {"mlp.0": 1.0}, 0.01)

    assert "0.01" in str(refused.value)
    assert f"{llama.block_size:,}" in str(refused.value)
    assert "mlp.0" in str(refused.value)


def test_random_components_are_a_function_of_the_seed(model: Model) -> None:
    among = list(model.components)

    drawn = [Localization.random(model, among, 0.5, seed).components for seed in range(10)]

    assert drawn == [Localization.random(model, reversed(among), 0.5, seed).components for seed in range(10)]
    assert len(set(drawn)) > 5


def test_every_component_can_be_drawn_and_only_those_that_are_given(model: Model) -> None:
    among = [name for name in model.components if name.startswith("mlp.")]

    first = {Localization.random(model, among, 0.25, seed).components[0] for seed in range(60)}

    assert first == set(among)


def test_random_components_do_not_depend_on_the_models_weights(
    random_models: Callable[..., Model], architecture: str
) -> None:
    one, other = random_models(architecture, 0), random_models(architecture, 1)

    drawn = [Localization.random(m, m.components, 0.5, 3) for m in (one, other)]

    assert drawn[0] == drawn[1]


def test_overlap_is_the_jaccard_similarity_of_the_tensors(model: Model) -> None:
    one = Localization.of(model, ["mlp.0", "mlp.1"])
    other = Localization.of(model, ["mlp.1", "mlp.2"])

    count = len(model.components["mlp.0"].parameters)
    assert one.overlap(other) == other.overlap(one) == count / (3 * count)
    assert one.overlap(one) == 1.0
    assert one.overlap(Localization.of(model, ["mlp.3"])) == 0.0


def test_two_empty_localizations_are_the_same() -> None:
    assert Localization.nowhere().overlap(Localization.nowhere()) == 1.0


def test_everywhere_covers_all_parameters_and_all_components(model: Model) -> None:
    where = Localization.everywhere(model)

    assert where.tensors == {name for name, _ in model.network.named_parameters()}
    assert where.components == tuple(model.components)


def test_nowhere_is_empty() -> None:
    assert (Localization.nowhere().tensors, Localization.nowhere().components) == (frozenset(), ())
