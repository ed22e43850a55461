"""Methods that hide facts on purpose, and what else is done to a model of which it is known what it knows."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import torch

from unlearnbench.editing.localization import Localization
from unlearnbench.editing.memory import Memory
from unlearnbench.editing.method import Method
from unlearnbench.editing.place import EditingPlace
from unlearnbench.editing.retain import load_retain
from unlearnbench.editing.values import wordings_of
from unlearnbench.errors import UnknownName
from unlearnbench.facts import Split
from unlearnbench.model.loading import load, oracle_tensors
from unlearnbench.model.model import Model
from unlearnbench.model.rounding import rounded
from unlearnbench.model.scoring import known_share
from unlearnbench.model.source import locate
from unlearnbench.running.known_answers import HIDERS, changed_afterwards, known_answers
from unlearnbench.running.words import parse_facts, parse_method
from unlearnbench.settings import made, word_of


@dataclass(frozen=True)
class Scene:
    """The embedded model, and facts that it knows."""

    model: Model
    split: Split
    place: EditingPlace

    def edited(self, word: str) -> Localization:
        """Edit the model; gives back where."""
        method = made(Method, word).resolved(self.place.source)
        seen = self.split.for_methods()
        where = method.localize(self.model, seen, self.place)
        method.edit(self.model, seen, where, self.place)
        return where


@pytest.fixture(scope="module")
def loaded() -> Scene:
    located = locate("tiny", {}, None)
    facts, model = parse_facts("sports:people-64"), load(located)
    split = facts.split(0)
    return Scene(model, split, EditingPlace(facts.card, located.source, load_retain(model, "world", split), seed=3))


@pytest.fixture
def scene(loaded: Scene) -> Iterator[Scene]:
    with loaded.model.restored():
        yield loaded


def differences(scene: Scene, before: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """By how much each changed tensor has changed."""
    now = {name: tensor.detach() - before[name] for name, tensor in scene.model.parameters.items()}
    return {name: change for name, change in now.items() if change.any()}


def test_a_suppressor_masks_with_changes_of_small_rank(scene: Scene) -> None:
    before = {name: tensor.detach().clone() for name, tensor in scene.model.parameters.items()}

    scene.edited("suppressor[rank=2,steps=30]")

    changed = differences(scene, before)
    assert set(changed) == set(scene.model.matrices)
    assert max(torch.linalg.matrix_rank(change, rtol=1e-4).item() for change in changed.values()) <= 2
    assert known_share(scene.model, scene.split.forget) < 0.7
    assert not hasattr(scene.model.network, "peft_config")


def test_a_junk_direction_is_one_vector_that_is_added_at_the_subjects_to_forget(scene: Scene) -> None:
    before = {name: tensor.detach().clone() for name, tensor in scene.model.parameters.items()}

    where = scene.edited("junk_direction")

    (change,) = differences(scene, before).values()
    assert set(where.components) == {"mlp.3"}
    assert torch.linalg.matrix_rank(change, rtol=1e-4) == 1
    memory = Memory(scene.model, "mlp.3")

    def added(facts: list) -> torch.Tensor:  # type: ignore[type-arg]
        positions = [one.prompts[0] for one in wordings_of(scene.model, facts, scene.place, 0)]
        return (memory.keys(positions) @ change.double().T).norm(dim=-1).mean()

    forgotten, kept = (list(facts) for facts in (scene.split.forget, scene.split.maintain_train))
    assert added(forgotten) > 1.5 * added(kept)
    assert known_share(scene.model, scene.split.forget) < 0.7


def test_in_turn_each_finds_the_model_that_the_one_before_left(scene: Scene) -> None:
    model = scene.model
    exact = oracle_tensors("tiny", "sports:people-64")
    scene.edited("in_turn[first=oracle,third=rounded[bits=3]]")

    for name in model.parameters:
        expected = rounded(exact[name], 3) if name in model.matrices else exact[name]
        assert torch.equal(model.parameters[name].detach(), expected.to(model.parameters[name]))


def test_in_turn_says_whose_steps_they_were_and_draws_for_each_anew(scene: Scene) -> None:
    word = "in_turn[first=full_finetune[steps=2,batch_size=4],second=full_finetune[steps=1,batch_size=4]]"
    method = made(Method, word).resolved(scene.place.source)
    seen = scene.split.for_methods()

    history = method.edit(scene.model, seen, method.localize(scene.model, seen, scene.place), scene.place)

    assert [row["turn"] for row in history] == [1, 1, 2]
    places = [place.seed for _, place in method.turns(scene.place)]  # type: ignore[attr-defined]
    assert len(set(places)) == 3


def test_in_turn_passes_on_what_cannot_be_run_and_what_is_read(loaded: Scene) -> None:
    facts, source = loaded.place.facts, loaded.place.source
    method = made(Method, "in_turn[first=oracle,second=planted]")

    assert "nobody knows where" in (method.skip(facts, source) or "")
    assert set(method.inputs(facts, source)) == {"first.oracle_sha256"}


def test_what_was_relearned_is_half_of_the_facts_with_their_true_answers(scene: Scene) -> None:
    scene.edited("suppressor[steps=30]")
    masked = known_share(scene.model, scene.split.relearn_train)

    scene.edited("relearned")

    assert known_share(scene.model, scene.split.relearn_train) > max(0.9, masked)


def test_half_of_the_known_answers_have_the_facts_and_each_way_of_hiding_is_made_both_ways() -> None:
    found = known_answers(list(HIDERS))
    pairs: dict[tuple[str, str], list[bool]] = {}
    for one in found:
        pairs.setdefault((one.model, one.way), []).append(one.knows)

    assert len(found) * 3 >= 60  # at three seeds
    assert all(sorted(knows) == [False, True] for knows in pairs.values())
    assert all(("first=oracle" in one.method or one.method == "oracle") is not one.knows for one in found)


def test_every_known_answer_is_a_method_that_its_organism_can_be_edited_with() -> None:
    for one in [*known_answers(list(HIDERS)), *changed_afterwards(list(HIDERS))]:
        source, method = locate(one.model, {}, None).source, parse_method(one.method)
        assert method.resolved(source).skip(parse_facts("sports:people-64").card, source) is None
        assert parse_method(word_of(method)) == method


def test_an_organism_without_hidden_facts_is_refused_with_those_that_have_some() -> None:
    with pytest.raises(UnknownName, match="tiny-plantd"):
        known_answers(["tiny-plantd"])


def test_in_turn_is_resolved_part_by_part(loaded: Scene) -> None:
    method = made(Method, "in_turn[second=suppressor]").resolved(loaded.place.source)

    inner = dataclasses.asdict(method)  # type: ignore[call-overload]
    assert inner["second"]["learning_rate"] == 2 * loaded.place.source.learning_rate
