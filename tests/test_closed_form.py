"""ROME and MEMIT against their theorems, and on the embedded model."""

import dataclasses
from collections.abc import Callable, Sequence

import pytest
import torch

from unlearnbench.editing import moments
from unlearnbench.editing.localizer import Localizer
from unlearnbench.editing.memory import Memory, spread
from unlearnbench.editing.moments import regular
from unlearnbench.editing.place import EditingPlace
from unlearnbench.editing.retain import load_retain
from unlearnbench.editing.values import ValueSettings, value_changes, wordings_of
from unlearnbench.errors import UsageError
from unlearnbench.facts import Split
from unlearnbench.methods.memit import Memit
from unlearnbench.methods.rome import Rome, rank_one
from unlearnbench.model.hooks import intervened, recorded
from unlearnbench.model.loading import load
from unlearnbench.model.model import Model
from unlearnbench.model.reading import answer_loss, last_logits
from unlearnbench.model.scoring import Asked, known_share, score
from unlearnbench.model.source import locate
from unlearnbench.running.words import parse_facts
from unlearnbench.settings import made


def _random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# -- theorems ------------------------------------------------------------------------------------------


def test_a_rank_one_change_maps_the_key_to_the_value_and_disturbs_other_keys_least() -> None:
    keys = _random(50, 6)
    moment, key, value = keys.T @ keys / 50, _random(6, seed=1), _random(4, seed=2)

    change = rank_one(value, key, moment)

    torch.testing.assert_close(change @ key, value)
    cost = (keys @ change.T).square().sum()
    for seed in range(20):  # any other change that maps this key so differs by something that maps it to zero
        other = _random(4, 6, seed=10 + seed)
        other = other - torch.outer(other @ key, key) / (key @ key)
        assert (keys @ (change + 0.1 * other).T).square().sum() > cost


def test_with_alike_and_independent_keys_it_is_along_the_key() -> None:
    key, value = _random(6), _random(4, seed=1)

    torch.testing.assert_close(
        rank_one(value, key, torch.eye(6, dtype=torch.float64)), torch.outer(value, key) / (key @ key)
    )


def test_a_spread_change_is_the_minimum_of_its_quadratic_form() -> None:
    keys, values, old = _random(5, 8), _random(5, 3, seed=1), _random(40, 8, seed=2)
    cost = 0.7 * old.T @ old

    change = spread(values, keys, cost).requires_grad_()

    loss = (keys @ change.T - values).square().sum() + torch.trace(change @ cost @ change.T)
    (gradient,) = torch.autograd.grad(loss, change)
    assert gradient.abs().max() < 1e-9


def test_a_spread_change_that_costs_nothing_maps_every_key_to_its_value() -> None:
    keys, values = _random(5, 8), _random(5, 3, seed=1)

    change = spread(values, keys, 1e-10 * torch.eye(8, dtype=torch.float64))

    torch.testing.assert_close(keys @ change.T, values, atol=1e-6, rtol=1e-6)


def test_a_singular_moment_is_made_regular_and_a_regular_one_is_left_as_it_is() -> None:
    singular = torch.outer(_random(6), _random(6))

    assert torch.linalg.matrix_rank(regular(singular @ singular.T)) == 6
    moment = _random(50, 6).T @ _random(50, 6)
    torch.testing.assert_close(regular(moment), moment, rtol=1e-4, atol=1e-4)


# -- the memory ----------------------------------------------------------------------------------------


def test_what_a_memory_says_changes_by_what_is_added_times_its_key(model: Model) -> None:
    memory, ids = Memory(model, "mlp.1"), list(model.tokenizer("Fact: Ann Lee plays").input_ids)
    key = memory.keys([(ids, 2)])[0]
    change = 0.1 * _random(model.width, len(key))

    said = []
    for _ in range(2):
        with torch.no_grad(), recorded(model, {"said": memory.path}) as seen:
            last_logits(model, [ids])
        said.append(seen["said"][0, 2].double())
        memory.add(change)

    torch.testing.assert_close(said[1] - said[0], change @ key, atol=1e-4, rtol=1e-4)


def test_keys_are_what_the_projection_reads_at_each_position(model: Model) -> None:
    memory = Memory(model, "mlp.2")
    texts = [list(model.tokenizer(text).input_ids) for text in ("Fact: Ann Lee plays the sport", "Today")]
    positions = [(texts[0], 1), (texts[1], 0), (texts[0], 4)]

    together = memory.keys(positions, batch_size=2)

    alone = torch.cat([memory.keys([one]) for one in positions])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(alone[0], alone[2])


def test_the_second_moment_is_the_mean_over_all_tokens_but_the_bos(model: Model, place: EditingPlace) -> None:
    memory, texts = Memory(model, "mlp.1"), place.retain.train[:5]

    found = memory.second_moment(texts, batch_size=2)

    keys = torch.cat([memory.keys([(ids, at)]) for ids in texts for at in range(1, len(ids))])
    torch.testing.assert_close(found, keys.T @ keys / len(keys), atol=1e-5, rtol=1e-4)


def test_many_small_changes_add_up_in_half_precision(random_models: Callable[..., Model]) -> None:
    model = random_models("llama")
    model.network.to(torch.bfloat16)
    memory = Memory(model, "mlp.1")
    before = model.parameters[memory.weight].detach().clone()

    for _ in range(1000):
        memory.add(torch.full(before.shape, 1e-4, dtype=torch.float64))

    torch.testing.assert_close(model.parameters[memory.weight].float(), before.float() + 0.1, atol=2e-2, rtol=1e-2)


def test_an_mlp_that_ends_with_no_matrix_is_refused_with_what_it_has(llama: Model) -> None:
    mlp = llama.network.get_submodule("model.layers.0.mlp")
    mlp.register_forward_hook(lambda *words: 2 * words[-1])

    with pytest.raises(UsageError, match=r"mlp\.0 .*down_proj.* ends with no matrix"):
        Memory(llama, "mlp.0")
    assert Memory(llama, "mlp.1").path == "model.layers.1.mlp.down_proj"


def test_moments_are_kept_on_disk_for_the_same_weights_and_texts_only(
    random_models: Callable[..., Model], place: EditingPlace, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(moments.VARIABLE, str(tmp_path))
    computed = list[int]()
    real = Memory.second_moment

    def counting(memory: Memory, texts: Sequence[list[int]], batch_size: int = 64) -> torch.Tensor:
        computed.append(len(texts))
        return real(memory, texts, batch_size)

    monkeypatch.setattr(Memory, "second_moment", counting)
    model, texts = random_models("llama"), place.retain.train

    def found(model: Model, texts: Sequence[list[int]]) -> torch.Tensor:
        (moment,) = moments.second_moments(model, [Memory(model, "mlp.1")], texts)
        return moment

    first = found(model, texts)
    assert torch.equal(found(random_models("llama"), texts), first)
    assert computed == [len(texts)]
    found(model, texts[:3])
    found(random_models("llama", seed=1), texts)
    assert computed == [len(texts), 3, len(texts)]
    for path in moments.cache_folder().glob("*/*"):
        path.write_bytes(b"cut off")
    assert torch.equal(found(model, texts), first)


# -- values --------------------------------------------------------------------------------------------


def test_with_its_value_in_place_a_fact_says_its_target_whatever_stands_before_it(
    model: Model, split: Split, place: EditingPlace
) -> None:
    memory = Memory(model, "mlp.1")
    wordings = wordings_of(model, split.forget[:2], place, prefixes=3)
    settings = ValueSettings(value_steps=30, value_decay=0.0, most=10.0)

    change, rows = value_changes(model, memory.path, wordings, settings)

    def added(output: torch.Tensor) -> torch.Tensor:
        output = output.clone()
        output[0, at] += value.to(output)
        return output

    for number, one in enumerate(wordings):
        fact, value = one.fact, change[number]
        ids, at = one.prompts[0]
        before = answer_loss(model, [(fact.prompt, fact.edit_target or "")]).item()
        with intervened(model, {memory.path: added}):
            now = answer_loss(model, [(fact.prompt, fact.edit_target or "")]).item()
        assert now < before - 0.02
        assert 0 < rows[number]["length"] <= 10.0 + 1e-4
        assert len(one.prompts) == 4
        assert all(tokens[position] == ids[at] for tokens, position in one.prompts)


def test_values_are_the_same_whether_found_together_or_alone(llama: Model, split: Split, place: EditingPlace) -> None:
    path = Memory(llama, "mlp.1").path
    wordings = wordings_of(llama, split.forget[:3], place, prefixes=2)
    settings = ValueSettings(value_steps=5)

    together, _ = value_changes(llama, path, wordings, settings)

    alone = torch.cat([value_changes(llama, path, [one], settings)[0] for one in wordings])
    torch.testing.assert_close(together, alone, atol=1e-3, rtol=1e-3)


def test_no_change_is_longer_than_it_may_be(llama: Model, split: Split, place: EditingPlace) -> None:
    wordings = wordings_of(llama, split.forget[:3], place, prefixes=1)

    _, rows = value_changes(llama, Memory(llama, "mlp.1").path, wordings, ValueSettings(most=0.2, value_rate=1.0))

    assert all(row["length"] <= 0.2 + 1e-5 for row in rows)


# -- the methods ---------------------------------------------------------------------------------------


def test_rome_changes_the_best_mlp_alone_and_memit_all_that_were_chosen(
    llama: Model, split: Split, place: EditingPlace
) -> None:
    localizer = made(Localizer, "named[components=mlp.2+attention.1+mlp.1]")

    rome = Rome(localizer=localizer).localize(llama, split.for_methods(), place)
    memit = Memit(localizer=localizer).localize(llama, split.for_methods(), place)

    assert rome.tensors == {"model.layers.2.mlp.down_proj.weight"}
    assert memit.components == ("mlp.1", "mlp.2")
    assert len(memit.tensors) == 2
    with pytest.raises(UsageError, match="chose attention"):
        Rome(localizer=made(Localizer, "named[components=attention.1]")).localize(llama, split.for_methods(), place)


def test_memit_refuses_a_model_that_normalizes_what_an_mlp_says(model: Model, architecture: str) -> None:
    if architecture == "gemma2":
        with pytest.raises(UsageError, match="normalizes what an MLP says"):
            Memit().refuse(model)
    else:
        Memit().refuse(model)


def test_facts_without_an_edit_target_are_skipped(place: EditingPlace) -> None:
    bare = dataclasses.replace(place.facts, forms=frozenset())

    for method in (Rome(), Memit()):
        assert "edit target" in (method.skip(bare, place.source) or "")


@pytest.mark.slow
def test_a_fact_that_rome_wrote_is_said_in_other_wordings_and_others_are_kept() -> None:
    located = locate("tiny", {}, None)
    model, facts = load(located), parse_facts("sports:people-16")
    split = facts.split(0)
    one = dataclasses.replace(split.for_methods(), forget=split.forget[:2])
    place = EditingPlace(facts.card, located.source, load_retain(model, "world", split), seed=0)
    method = Rome(localizer=made(Localizer, "named[components=mlp.3]"))

    history = method.edit(model, one, method.localize(model, one, place), place)

    assert len(history) == 2
    for fact in one.forget:
        for wording in (fact.prompt, split.forget[0].paraphrases[0].replace(split.forget[0].subject, fact.subject)):
            (found,) = score(model, [Asked(wording, fact.choices)], 8)
            assert fact.choices[found.decision] == fact.edit_target
    assert known_share(model, split.maintain_test) > 0.9
