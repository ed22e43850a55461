"""What a model knows: measured by a plain forward pass, found once, and never taken from another model."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from unlearnbench.facts import Fact
from unlearnbench.factset import FactSet
from unlearnbench.knowledge import cache_folder, known_by_all, probabilities
from unlearnbench.model import Model
from unlearnbench.source import ModelSource, locate
from unlearnbench.split import Split


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of this test's own."""
    monkeypatch.setenv("UNLEARNBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def source_of(weights: str = "w") -> ModelSource:
    """Where a model with these weights comes from."""
    return ModelSource(
        kind="hf",
        name="random",
        weights_sha256=f"sha256:{weights}",
        config_sha256="sha256:c",
        tokenizer_sha256="sha256:t",
        layout="lines",
        learning_rate=1e-3,
        retain_text="world",
    )


class Knower:
    """A model that counts how often it is loaded and let go."""

    def __init__(self, model: Model, weights: str) -> None:
        self._model, self.source = model, source_of(weights)
        self.loaded = self.released = 0

    @property
    def model(self) -> Model:
        """The model."""
        self.loaded += 1
        return self._model

    def release(self) -> None:
        """Counted."""
        self.released += 1


class Facts(FactSet):
    """Some facts, of which those are wanted that a model knows better than a bound."""

    name, version, questions, variants = "facts", 1, ("forget",), ("all",)

    def __init__(self, facts: Sequence[Fact], bound: float, ids: Sequence[str] | None = None) -> None:
        super().__init__("all")
        for key, value in {"facts": facts, "bound": bound, "ids": ids}.items():
            object.__setattr__(self, key, value)

    facts: Sequence[Fact]
    bound: float
    ids: Sequence[str] | None

    def candidates(self) -> Sequence[Fact]:
        """All of them."""
        return self.facts

    def known_from(self) -> float:
        """The bound."""
        return self.bound

    def knowing(self, ids: Any) -> "Facts":
        """Limited to these."""
        return Facts(self.facts, self.bound, sorted(ids))

    def split(self, seed: int) -> Split:
        """Not asked for."""
        raise NotImplementedError

    def __hash__(self) -> int:
        return hash((self.bound, tuple(self.facts)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Facts) and (self.facts, self.bound) == (other.facts, other.bound)


def asked_of(model: Model, facts: Sequence[Fact], weights: str = "w") -> dict[str, float]:
    """Probabilities, whatever the cache has."""
    return dict(probabilities(source_of(weights), facts, lambda: model, 4))


@torch.no_grad()
def test_it_is_the_probability_of_the_whole_answer_after_the_prompt(model: Model, small_split: Split) -> None:
    found = asked_of(model, small_split.forget)

    for fact in small_split.forget:
        context = model.tokenizer(fact.prompt).input_ids
        whole = model.tokenizer(f"{fact.prompt} {fact.answer}").input_ids
        assert whole[: len(context)] == context
        logprobs = model.network(torch.tensor([whole])).logits[0].double().log_softmax(-1)
        total = sum(logprobs[i - 1, whole[i]].item() for i in range(len(context), len(whole)))
        assert found[fact.id] == pytest.approx(math.exp(total), rel=1e-4)


def test_a_model_is_asked_once_and_loaded_no_more(llama: Model, small_split: Split) -> None:
    first = asked_of(llama, small_split.forget)

    def never() -> Model:
        raise AssertionError("the model was loaded")

    assert dict(probabilities(source_of(), small_split.forget, never, 4)) == first


def test_other_weights_or_other_facts_are_asked_anew(random_models: Callable[..., Model], small_split: Split) -> None:
    one, other = random_models("llama"), random_models("llama", seed=1)
    first = asked_of(one, small_split.forget, "w")

    assert asked_of(other, small_split.forget, "v") != first
    assert asked_of(other, small_split.forget, "w") == first  # the weights' digest is what counts
    assert set(asked_of(one, small_split.maintain_train, "w")) == {fact.id for fact in small_split.maintain_train}


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"game:Ann Lee": 0.5}', '{"game:Ann Lee": "much"}', "\x00"])
def test_a_damaged_cache_is_made_anew(damage: str, llama: Model, small_split: Split, cache: Path) -> None:
    first = asked_of(llama, small_split.forget)
    (kept,) = (cache / "known").iterdir()
    whole = kept.read_text()
    kept.write_text(damage)

    assert asked_of(llama, small_split.forget) == first
    assert json.loads(kept.read_text()) == json.loads(whole)


def test_a_cache_that_cannot_be_written_costs_no_result(llama: Model, small_split: Split, cache: Path) -> None:
    cache.write_text("a file is in the way")
    assert len(asked_of(llama, small_split.forget)) == 4


def test_the_cache_lies_where_the_user_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cache: Path) -> None:
    assert cache_folder() == cache
    monkeypatch.delenv("UNLEARNBENCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "unlearnbench"


def test_facts_are_limited_to_what_all_models_know(random_models: Callable[..., Model], small_split: Split) -> None:
    facts = [*small_split.forget, *small_split.maintain_train]
    models = [random_models("llama", seed=seed) for seed in (0, 1)]
    by_model = [asked_of(model, facts, f"w{i}") for i, model in enumerate(models)]
    bound = sorted(p for found in by_model for p in found.values())[len(facts)]  # each knows some
    wanted = sorted(f.id for f in facts if all(found[f.id] >= bound for found in by_model))
    knowers = [Knower(model, f"w{i}") for i, model in enumerate(models)]

    limited = known_by_all(knowers, [[Facts(facts, bound)], [Facts(facts, bound)]], 4)

    assert [one[0].ids for one in limited] == [wanted, wanted]  # type: ignore[attr-defined]
    assert 0 < len(wanted) < len(facts)
    assert [knower.released for knower in knowers] == [1, 1]


def test_what_asks_for_no_knowledge_is_left_alone_and_no_model_is_loaded(llama: Model) -> None:
    from unlearnbench.tasks.facts.sports import Sports

    knower, facts = Knower(llama, "w"), Sports("athletes-16")

    assert known_by_all([knower], [[facts]], 4) == [[facts]]
    assert (knower.loaded, knower.released) == (0, 0)


def test_one_edited_weight_of_a_saved_model_is_another_model_and_asked_anew(
    random_models: Callable[..., Model], saved: Callable[[Model], Path], small_split: Split
) -> None:
    def now(model: Model) -> dict[str, float]:
        source = locate("hf", {"pretrained": str(saved(model))}, "world").source
        return dict(probabilities(source, small_split.forget, lambda: model, 4))

    model = random_models("llama")
    before = now(model)
    with torch.no_grad():
        model.parameters["model.layers.3.mlp.down_proj.weight"][0, 0] += 1.0
    after = now(model)

    assert all(after[fact] != before[fact] for fact in before)
    assert now(random_models("llama")) == before  # both stay in the cache


def test_another_prompt_of_the_same_fact_is_asked_anew(llama: Model, small_split: Split) -> None:
    fact = small_split.forget[0]
    reworded = replace(fact, prompt=fact.paraphrases[0])

    assert reworded.id == fact.id
    assert asked_of(llama, [fact]) != asked_of(llama, [reworded])


def test_a_fact_that_is_known_exactly_as_well_as_is_asked_for_is_kept(llama: Model, small_split: Split) -> None:
    found = asked_of(llama, small_split.forget)
    bound = sorted(found.values())[1]

    ((limited,),) = known_by_all([Knower(llama, "w")], [[Facts(small_split.forget, bound)]], 4)

    assert limited.ids == sorted(fact for fact, p in found.items() if p >= bound)  # type: ignore[attr-defined]
    assert len(limited.ids) == len(found) - 1  # type: ignore[attr-defined]


def test_what_is_known_does_not_depend_on_the_batch_size(
    llama: Model, small_split: Split, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = []
    for size in (1, 3, 64):
        monkeypatch.setenv("UNLEARNBENCH_CACHE", str(tmp_path / f"cache {size}"))
        found.append(dict(probabilities(source_of(), small_split.forget, lambda: llama, size)))

    assert found[1] == pytest.approx(found[0], rel=1e-4)
    assert found[2] == pytest.approx(found[0], rel=1e-4)
