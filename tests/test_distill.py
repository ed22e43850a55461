"""Distillation after unlearning: the damage by its formula, and the repair from the teacher alone."""

import dataclasses
from collections.abc import Callable

import pytest
import torch

from unlearnbench.editing.finetuning import FineTuning
from unlearnbench.editing.localization import Localization
from unlearnbench.editing.place import EditingPlace
from unlearnbench.errors import UsageError
from unlearnbench.facts import Split
from unlearnbench.methods.distill import Distill
from unlearnbench.methods.full_finetune import FullFinetune
from unlearnbench.model.model import Model
from unlearnbench.settings import made, parts_of

METHOD = Distill(steps=3, repair_steps=5, learning_rate=1e-3, batch_size=4, retain_batch=4)


def test_matrices_lose_a_share_of_themselves_to_noise_and_vectors_stay(
    model: Model, random_models: Callable[..., Model], architecture: str
) -> None:
    where, base = Localization.of(model, ["mlp.1", "attention.2"]), random_models(architecture)
    spread = model.network.config.initializer_range

    dataclasses.replace(METHOD, damage=0.4, noise=0.5)._damage(model, where, seed=3)

    for name, old in base.parameters.items():
        new = model.parameters[name]
        if name not in where.tensors or old.dim() < 2:
            assert torch.equal(new, old)
        else:
            fresh = (new - 0.6 * old) / (0.4 * 0.5)
            assert fresh.std().item() == pytest.approx(spread, rel=0.15)
            assert abs(fresh.mean().item()) < 0.15 * spread


def test_the_damage_is_a_function_of_the_seed(random_models: Callable[..., Model]) -> None:
    def damaged(seed: int) -> dict[str, str]:
        model = random_models("llama")
        METHOD._damage(model, Localization.everywhere(model), seed)
        return model.tensor_digests()

    assert damaged(1) == damaged(1)
    assert damaged(1) != damaged(2)


def test_the_history_goes_on_from_unlearning_to_repair_and_progress_never_goes_back(
    llama: Model, split: Split, place: EditingPlace
) -> None:
    told = list[tuple[int, int]]()
    there = dataclasses.replace(place, progress=lambda done, of: told.append((done, of)))

    history = METHOD.edit(llama, split.for_methods(), Localization.everywhere(llama), there)

    assert [row["step"] for row in history] == [*range(1, 9)]
    assert all("forget" in row for row in history[:3])
    assert all(set(row) == {"step", "retain_kl", "maintain_kl", "gradient", "learning_rate"} for row in history[3:])
    assert told == [(step, 8) for step in range(1, 9)]


def test_repair_brings_the_damaged_model_nearer_to_its_teacher(llama: Model, split: Split, place: EditingPlace) -> None:
    method = dataclasses.replace(METHOD, repair_steps=60, damage=0.4, learning_rate=3e-3)

    history = method.edit(llama, split.for_methods(), Localization.everywhere(llama), place)

    assert history[-1]["retain_kl"] < 0.7 * history[3]["retain_kl"]
    assert history[-1]["maintain_kl"] < 0.7 * history[3]["maintain_kl"]


def test_the_first_part_is_plain_fine_tuning_with_the_same_parts(
    random_models: Callable[..., Model], split: Split, place: EditingPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, model, other = split.for_methods(), random_models("llama"), random_models("llama")
    shared = ("objective", "steps", "learning_rate", "batch_size", "retain_batch")
    plain: FineTuning = FullFinetune(**{name: getattr(METHOD, name) for name in shared})  # type: ignore[arg-type]
    monkeypatch.setattr("unlearnbench.methods.distill.finetune", lambda *_, **__: [])
    monkeypatch.setattr(Distill, "_damage", lambda *_: None)

    first = METHOD.edit(model, seen, Localization.everywhere(model), place)

    assert first == plain.edit(other, seen, Localization.everywhere(other), place)
    assert model.tensor_digests() == other.tensor_digests()
    assert parts_of(METHOD)["objective"].name == "graddiff"


@pytest.mark.parametrize("setting", ["damage=0", "damage=1", "noise=-1", "repair_steps=0"])
def test_a_damage_that_is_none_or_total_is_refused(setting: str) -> None:
    from unlearnbench.editing.method import Method

    with pytest.raises(UsageError, match=setting.split("=")[0]):
        made(Method, f"distill[{setting}]")
