"""Attacks without training: reading early, fewer bits, noise, zeros; and how the best variant is chosen."""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch

from unlearnbench.asking.place import AskingPlace
from unlearnbench.asking.row import Row
from unlearnbench.asking.sides import Side
from unlearnbench.asking.task import Task
from unlearnbench.asking.variants import Variant, VariantAttack, _told, _Tried
from unlearnbench.errors import UsageError
from unlearnbench.facts import Split
from unlearnbench.model.early import ending_at
from unlearnbench.model.hooks import recorded
from unlearnbench.model.model import Model
from unlearnbench.model.readers import stream_of
from unlearnbench.model.rounding import codes, rounded
from unlearnbench.settings import made
from unlearnbench.tasks.attacks.noise import noisy
from unlearnbench.tasks.attacks.pruning import pruned
from unlearnbench.tasks.attacks.quantization import Quantization, in_bits

IDS = torch.arange(2, 14)[None]


def _logits(model: Model) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model.network(input_ids=IDS, use_cache=False).logits
    return found


def _norm(model: Model) -> torch.nn.Module:
    names = {
        "llama": "model.norm",
        "qwen2": "model.norm",
        "gemma2": "model.norm",
        "gpt2": "transformer.ln_f",
        "gpt_neox": "gpt_neox.final_layer_norm",
    }
    module: torch.nn.Module = model.network.get_submodule(names[model.network.config.model_type])
    return module


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "gpt2", "gpt_neox", "gemma2"])
@pytest.mark.parametrize("stream", ["block", "attention", "mlp"])
def test_a_model_that_ends_early_is_the_norm_and_the_output_layer_on_what_is_read(
    stream: str, random_models: Callable[..., Model], architecture: str
) -> None:
    model = random_models(architecture)
    path = f"{model.family.blocks}.1" if stream == "block" else stream_of(model).writers[f"{stream}.1"]
    with recorded(model, {"it": path}) as seen:
        whole = _logits(model)

    with ending_at(model, 1, None if stream == "block" else path):
        early = _logits(model)

    with torch.no_grad():
        expected = model.network.get_output_embeddings()(_norm(model)(seen["it"]))
        cap = getattr(model.network.config, "final_logit_softcapping", None)
        expected = expected if cap is None else cap * torch.tanh(expected / cap)
    torch.testing.assert_close(early, expected)
    torch.testing.assert_close(_logits(model), whole, rtol=0, atol=0)


def test_a_model_that_ends_at_its_last_block_is_the_model(model: Model) -> None:
    whole = _logits(model)

    with ending_at(model, model.blocks - 1):
        torch.testing.assert_close(_logits(model), whole, rtol=0, atol=0)


# -- weights ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("shape", [(3, 10), (4, 8), (2, 3)])
def test_rounding_is_to_the_nearest_point_of_each_groups_grid(bits: int, shape: tuple[int, int]) -> None:
    weight = torch.tensor(np.random.default_rng(bits).normal(size=shape), dtype=torch.float32)

    found, code, margin = codes(weight, bits, group=4)

    most = 2 ** (bits - 1) - 1
    for row, values in enumerate(weight.tolist()):
        for start in range(0, len(values), 4):
            scale = max(abs(one) for one in values[start : start + 4]) / most
            grid = np.arange(-most, most + 1) * scale
            for column in range(start, min(start + 4, len(values))):
                nearest = int(np.abs(grid - values[column]).argmin())
                assert found[row, column].item() == pytest.approx(grid[nearest], abs=1e-6)
                assert code[row, column].item() == nearest - most
                distance = abs(values[column] - grid[nearest]) / scale
                assert margin[row, column].item() == pytest.approx(0.5 - distance, abs=1e-4)


def test_rounding_twice_is_rounding_once_and_keeps_the_precision_of_the_weight() -> None:
    weight = torch.randn(8, 70, generator=torch.Generator().manual_seed(0)).bfloat16()

    once = rounded(weight, 4)

    assert once.dtype == weight.dtype
    assert (codes(once, 4)[1] == codes(weight, 4)[1]).float().mean() > 0.99  # bfloat16 itself rounds


def test_only_matrices_in_the_blocks_are_rounded_and_all_are_put_back(model: Model) -> None:
    before = model.tensor_digests()

    with in_bits(model, 4, 64):
        changed = {name for name, digest in model.tensor_digests().items() if digest != before[name]}

    assert changed == set(model.matrices)
    assert all("norm" not in name and "embed" not in name for name in model.matrices)
    assert model.tensor_digests() == before


def test_an_edit_smaller_than_half_a_bin_changes_no_code(llama: Model, split: Split, asking: AskingPlace) -> None:
    base = {name: parameter.detach().clone() for name, parameter in llama.parameters.items()}
    name = llama.matrices[0]
    place = dataclasses.replace(asking, base=base)

    def changed(size: float) -> dict[int, float]:
        with llama.restored([name]):
            llama.write({name: base[name] * (1 + size)})  # the scale moves along: no code changes
            if size == 0.5:
                llama.write({name: -base[name]})
            rows = Quantization()._moved(llama, place)
            return {int(row.at["bits"]): row.values["code_changed"] for row in rows}

    assert changed(0.01) == {8: 0, 4: 0, 3: 0}
    assert changed(0.5)[8] > 0.9
    assert changed(0.0) == {8: 0, 4: 0, 3: 0}


def test_noise_has_its_size_and_is_the_same_for_one_seed(llama: Model) -> None:
    name = llama.matrices[0]
    exact = llama.parameters[name].detach().clone()

    def noise(seed: int) -> torch.Tensor:
        with noisy(llama, 0.1, seed):
            return llama.parameters[name].detach() - exact

    assert noise(1).std().item() == pytest.approx(0.1 * exact.square().mean().sqrt().item(), rel=0.1)
    assert torch.equal(noise(1), noise(1))
    assert not torch.equal(noise(1), noise(2))
    assert torch.equal(llama.parameters[name], exact)


def test_pruning_takes_the_smallest_weights_of_each_matrix(llama: Model) -> None:
    exact = {name: llama.parameters[name].detach().clone() for name in llama.matrices}

    with pruned(llama, 0.25):
        for name, before in exact.items():
            after = llama.parameters[name]
            gone = after == 0
            assert gone.sum() == int(0.25 * before.numel())
            assert before[gone].abs().max() <= before[~gone].abs().min()
            assert torch.equal(after[~gone], before[~gone])


@pytest.mark.parametrize(
    "word",
    [
        "quantization[bits=1]",
        "quantization[bits=four]",
        "logit_lens[streams=head]",
        "noise[scales=x]",
        "pruning[shares=1.5]",
    ],
)
def test_a_strength_that_cannot_be_is_refused(word: str) -> None:
    with pytest.raises(UsageError):
        made(Task, word)


# -- choosing ---------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Scripted(VariantAttack):
    """Variants that make the model say what a test wants."""

    script: ClassVar[dict[int, Callable[[Model], None]]] = {}
    axes: ClassVar[tuple[str, ...]] = ("n",)

    def variants(self, model: Model, side: Side, split: Split, place: AskingPlace) -> Iterator[Variant]:
        for n, change in self.script.items():
            yield Variant({"n": n}, lambda change=change: self._within(model, change))  # type: ignore[misc]

    @staticmethod
    @contextmanager
    def _within(model: Model, change: Callable[[Model], None]) -> Iterator[None]:
        with model.restored():
            change(model)
            yield


def test_the_variant_that_finds_most_of_t_is_scored_on_v_and_all_are_told(
    random_models: Callable[..., Model], split: Split, asking: AskingPlace
) -> None:
    other = {name: p.detach().clone() for name, p in random_models("llama", seed=3).parameters.items()}
    third = {name: p.detach().clone() for name, p in random_models("llama", seed=4).parameters.items()}
    _Scripted.script.update(
        {0: lambda _: None, 1: lambda model: model.write(other), 2: lambda model: model.write(third)}
    )
    _Scripted.capped = False  # type: ignore[misc]
    model, side = random_models("llama"), Side(split.relearn_train, split.relearn_test, "relearn_test")
    attack = _Scripted()

    rows = attack.attack(model, side, split, asking)

    told = []
    for variant in attack.variants(model, side, split, asking):
        with variant.context():
            share = [row.values["accuracy"] for row in variant.ask(model, side.taught, "t", 64)]
        told.append(sum(share))
    best = told.index(max(told))
    chosen = {row.item: row.values["accuracy"] for row in rows if not row.at and row.subset == "relearn_test"}
    each = [
        {r.item: r.values["accuracy"] for r in rows if r.at == {"n": n} and r.subset == "relearn_test"}
        for n in range(3)
    ]
    assert len({tuple(one.items()) for one in each}) > 1
    assert chosen == each[best]
    for row in rows:
        if not row.at and row.subset == "relearn_test":
            assert row.values["any"] == max(one[row.item] for one in each)
            assert row.values["mean"] == pytest.approx(sum(one[row.item] for one in each) / 3)


def _tried(n: int, told: float, right: float, *, allowed: bool) -> _Tried:
    row = Row(item="a", cluster="a", subset="relearn_test", values={"accuracy": right})
    return _Tried({"n": n}, told, [row], [], allowed)


@pytest.mark.parametrize(
    ("tried", "accuracy", "any_of"),
    [
        ([_tried(0, 0.2, 0.1, allowed=True), _tried(1, 0.9, 0.8, allowed=False)], 0.1, 0.1),
        ([_tried(0, 0.2, 0.1, allowed=True), _tried(1, 0.9, 0.8, allowed=True)], 0.8, 0.8),
        ([_tried(0, 0.2, 0.9, allowed=True), _tried(1, 0.3, 0.1, allowed=True)], 0.1, 0.9),
        ([_tried(0, 0.5, 0.1, allowed=True), _tried(1, 0.5, 0.8, allowed=True)], 0.1, 0.8),  # of equals, the first
        ([_tried(0, 0.2, 0.1, allowed=False), _tried(1, 0.9, 0.8, allowed=False)], 0.1, 0.1),  # none allowed: the first
    ],
)
def test_a_variant_that_costs_too_much_does_not_count(tried: list[_Tried], accuracy: float, any_of: float) -> None:
    (chosen,) = [row for row in _told(tried) if not row.at]

    assert chosen.values["accuracy"] == accuracy
    assert chosen.values["any"] == any_of
    assert len([row for row in _told(tried) if row.at]) == 2
