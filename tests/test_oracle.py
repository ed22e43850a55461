"""The oracle method: stored weights of a model that never saw the facts, where there are any."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from unlearnbench.editing.localization import Localization
from unlearnbench.editing.place import EditingPlace
from unlearnbench.facts import Split
from unlearnbench.methods.oracle import Oracle
from unlearnbench.model import shipped
from unlearnbench.model.loading import oracle_tensors
from unlearnbench.model.model import Model
from unlearnbench.model.source import ModelSource
from unlearnbench.tasks.facts.sports import Sports


@pytest.fixture
def organism(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, random_models: Callable[..., Model]) -> Model:
    """An organism `toy` with an oracle for `sports:people-16`, stored in float16; returns the oracle."""
    for folder, seed in (("base", 0), ("without-sports-people-16", 1)):
        stored = random_models("llama", seed).network.half()
        stored.save_pretrained(tmp_path / "toy" / folder)
    monkeypatch.setattr(shipped, "MODELS", tmp_path)
    return Model(stored.float(), random_models("llama").tokenizer)


@pytest.fixture
def source(place: EditingPlace) -> ModelSource:
    """The organism as a source."""
    return place.source.model_copy(update={"kind": "organism", "name": "toy"})


def test_the_oracles_weights_replace_every_tensor(
    organism: Model, llama: Model, split: Split, place: EditingPlace, source: ModelSource
) -> None:
    place, method = dataclasses.replace(place, source=source), Oracle()
    where = method.localize(llama, split.for_methods(), place)
    before = llama.tensor_digests()

    method.edit(llama, split.for_methods(), where, place)

    assert where == Localization.everywhere(llama)
    assert llama.tensor_digests() == organism.tensor_digests()
    assert all(value != before[name] for name, value in llama.tensor_digests().items())


def test_stored_tensors_are_read_in_float32(organism: Model) -> None:
    tensors = oracle_tensors("toy", "sports:people-16")

    assert set(tensors) == set(organism.parameters)
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}


def test_an_oracle_is_asked_of_organisms_only(organism: Model, place: EditingPlace, source: ModelSource) -> None:
    facts = Sports("people-16").card

    assert Oracle().skip(facts, source) is None
    assert "random" in str(Oracle().skip(facts, place.source))


def test_without_an_oracle_for_the_facts_the_reason_names_those_there_are(organism: Model, source: ModelSource) -> None:
    reason = Oracle().skip(Sports("football").card, source)

    assert reason is not None
    assert "sports:people-16" in reason
    assert Oracle().skip(Sports("people-16", facts_file="mine.csv").card, source) is not None
    with pytest.raises(FileNotFoundError, match="sports:football"):
        oracle_tensors("toy", "sports:football")
