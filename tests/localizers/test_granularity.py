"""Heads and matrices: what is finer adds up to, or is the same as, what it is a part of."""

from collections.abc import Callable
from contextlib import ExitStack

import pytest
import torch

from unlearnbench.editing.localizer import Localizer
from unlearnbench.editing.place import EditingPlace
from unlearnbench.facts import Split
from unlearnbench.locating.contrast import Pairs, pairs_of
from unlearnbench.locating.patching import attribution_effects, exact_effects
from unlearnbench.locating.relevance import linearized
from unlearnbench.locating.sites import Heads, Modules
from unlearnbench.model.heads import groups_of, head_count
from unlearnbench.model.hooks import differentiable
from unlearnbench.model.matrices import matrices_of
from unlearnbench.model.model import Model
from unlearnbench.settings import made

FAMILIES = ["llama", "gemma2", "gpt2", "gpt_neox", "qwen2"]
LAST = {"llama": ("o_proj", "down_proj"), "gpt2": ("c_proj", "c_proj"), "gpt_neox": ("dense", "dense_4h_to_h")}


def pairs(model: Model, split: Split) -> Pairs:
    """Six facts and others."""
    return pairs_of(model, split.for_methods(), 6, seed=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_first_order_effects_of_heads_add_up_to_that_of_their_attention(
    random_models: Callable[..., Model], split: Split, family: str
) -> None:
    model = random_models(family)
    some = pairs(model, split)

    whole, heads = attribution_effects(model, some), attribution_effects(model, some, sites=Heads.of(model))

    assert len(heads) == model.blocks * groups_of(model)
    for block in range(model.blocks):
        parts = [heads[f"attention.{block}.{group}"] for group in range(groups_of(model))]
        if family != "gemma2":  # whose norm after the attention is no part of any head
            torch.testing.assert_close(sum(parts), whole[f"attention.{block}"], atol=1e-4, rtol=1e-3)
        assert all(part.abs().max() > 0 for part in parts)


@pytest.mark.parametrize("family", FAMILIES)
def test_all_heads_of_a_block_swapped_are_its_attention_swapped(
    random_models: Callable[..., Model], split: Split, family: str
) -> None:
    model = random_models(family)
    some, heads = pairs(model, split), Heads.of(model)
    modules = Modules.components(model)
    with torch.no_grad():
        by_head, whole = heads.outputs(model, some.corrupted), modules.outputs(model, some.corrupted)
        with ExitStack() as stack:
            for group in range(groups_of(model)):
                name = f"attention.1.{group}"
                stack.enter_context(heads.swapped(model, name, by_head[name]))
            together = some.difference(model, some.clean)
        with modules.swapped(model, "attention.1", whole["attention.1"]):
            at_once = some.difference(model, some.clean)

    torch.testing.assert_close(together, at_once)
    assert not torch.allclose(together, some.difference(model, some.clean))


def test_heads_that_share_keys_and_values_are_one(random_models: Callable[..., Model]) -> None:
    llama, gpt2 = random_models("llama"), random_models("gpt2")

    assert groups_of(llama) < head_count(llama)
    assert groups_of(gpt2) == head_count(gpt2)


@pytest.mark.parametrize("family", list(LAST))
def test_a_matrix_that_puts_out_what_its_component_does_has_the_same_effect(
    random_models: Callable[..., Model], split: Split, family: str
) -> None:
    model = random_models(family)
    some, modules = pairs(model, split), Modules({name: m.path for name, m in matrices_of(model).items()})

    for effects in (
        lambda sites=None: attribution_effects(model, some, 3, sites),
        lambda sites=None: exact_effects(model, some, "noising", sites),
    ):
        whole, finer = effects(), effects(modules)  # type: ignore[no-untyped-call]
        for block in range(model.blocks):
            for kind, last in zip(("attention", "mlp"), LAST[family], strict=True):
                torch.testing.assert_close(finer[f"{kind}.{block}.{last}"], whole[f"{kind}.{block}"])


@pytest.mark.parametrize("family", FAMILIES)
def test_the_matrices_of_a_component_have_its_weights(random_models: Callable[..., Model], family: str) -> None:
    model = random_models(family)
    parts = matrices_of(model)

    for name, component in model.components.items():
        mine = [matrix for part, matrix in parts.items() if part.startswith(f"{name}.")]
        assert sum(matrix.size for matrix in mine) == component.size
        assert {tensor for matrix in mine for tensor in matrix.parameters} == set(component.parameters)


@pytest.mark.parametrize("word", ["exact_patching", "attribution_patching", "relp"])
def test_the_head_that_fetches_and_the_matrices_that_look_up_come_first_in_the_wired_model(
    wired: Callable[..., object], place: EditingPlace, word: str
) -> None:
    one = wired()
    model, split = one.model, one.split  # type: ignore[attr-defined]

    heads = made(Localizer, f"{word}[granularity=head,budget=0.15]").localize(model, split.for_methods(), place)
    matrices = made(Localizer, f"{word}[granularity=matrix,budget=0.08]").localize(model, split.for_methods(), place)

    by_head = {name: score for name, score in heads.scores.items() if name.count(".") == 2}
    assert max(by_head, key=by_head.__getitem__) == "attention.2.0"
    assert heads.components == ("attention.2",)
    assert heads.scores["attention.2"] == by_head["attention.2.0"]
    assert matrices.components == ()
    assert matrices.tensors
    assert all(".h.1.mlp." in tensor for tensor in matrices.tensors)


def test_what_is_finer_than_components_can_be_neither_inverted_nor_moved(
    llama: Model, split: Split, place: EditingPlace
) -> None:
    from unlearnbench.errors import UsageError

    for control, why in (("inverted", "ranks nothing"), ("shifted", "nothing else can be moved")):
        word = f"{control}[localizer=relp[granularity=matrix]]"
        with pytest.raises(UsageError, match=why):
            made(Localizer, word).localize(llama, split.for_methods(), place)
    turned = made(Localizer, "inverted[localizer=relp[granularity=head]]").localize(llama, split.for_methods(), place)
    assert all(name.startswith("attention.") for name in turned.components)


def test_an_attention_is_worth_what_its_best_head_is(llama: Model, split: Split, place: EditingPlace) -> None:
    word = "attribution_patching[granularity=head,budget=0.1]"
    where = made(Localizer, word).localize(llama, split.for_methods(), place)

    for block in range(llama.blocks):
        heads = [where.scores[f"attention.{block}.{group}"] for group in range(groups_of(llama))]
        assert len(set(heads)) > 1
        assert where.scores[f"attention.{block}"] == max(heads)
    best = max(range(llama.blocks), key=lambda block: where.scores[f"attention.{block}"])
    assert where.components[0] == f"attention.{best}"


@pytest.mark.parametrize(("family", "fused"), [("gpt2", "c_attn"), ("gpt_neox", "query_key_value")])
def test_relevance_of_a_fused_matrix_is_that_of_its_values_alone(
    random_models: Callable[..., Model], split: Split, family: str, fused: str
) -> None:
    model = random_models(family)
    some, path = pairs(model, split), f"{model.components['attention.1'].path}.{fused}"
    modules = Modules({"fused": path})
    change = modules.outputs(model, some.clean)["fused"] - modules.outputs(model, some.corrupted)["fused"]
    heads = head_count(model)
    if family == "gpt2":
        values = torch.cat([torch.zeros_like(change[..., :64]), change[..., 64:]], -1)
    else:  # query, key and value of each head beside each other
        values = change.view(*change.shape[:-1], heads, 3, -1).clone()
        values[..., :2, :] = 0
        values = values.flatten(-3)
    with linearized(model):
        effect = attribution_effects(model, some, sites=modules)["fused"]

        with differentiable(model), modules.recorded(model) as seen:
            said = some.difference(model, some.clean).sum()
            (slope,) = torch.autograd.grad(said, [seen["fused"]])

    torch.testing.assert_close(effect, (values * slope).sum((1, 2)), atol=1e-5, rtol=1e-4)
    assert ((change - values) * slope).abs().max() == 0, "queries and keys have no slope"
