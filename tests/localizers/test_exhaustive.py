"""The exhaustive bound: what it ranks by is what an edit of a place leads to, and it says what it would cost."""

import dataclasses
from collections.abc import Sequence
from statistics import harmonic_mean
from typing import Any

import pytest
import torch

from unlearnbench.editing.finetuning import FineTuning
from unlearnbench.editing.localization import Localization
from unlearnbench.editing.localizer import Localizer
from unlearnbench.editing.objective import truths
from unlearnbench.editing.place import EditingPlace
from unlearnbench.editing.relearning import Relearning
from unlearnbench.errors import UsageError
from unlearnbench.facts import Split
from unlearnbench.locating.outcome import Outcome, outcomes, price
from unlearnbench.model.model import Model
from unlearnbench.model.reading import Pair
from unlearnbench.model.scoring import score_directly
from unlearnbench.settings import made

QUICK = FineTuning(steps=2, learning_rate=1e-2)


def test_an_edit_that_fails_at_one_of_three_has_failed() -> None:
    assert Outcome(forgotten=0.9, held=0.0, kept=1.0).score == 0
    assert Outcome(forgotten=0.8, held=0.5, kept=0.9).score == pytest.approx(harmonic_mean([0.8, 0.5, 0.9]))


def test_an_outcome_is_what_the_edit_and_the_attack_done_by_hand_lead_to(
    llama: Model, split: Split, place: EditingPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, relearning = split.for_methods(), Relearning(steps=6, learning_rate=1e-2)
    attacked: list[tuple[list[str], dict[str, str]]] = []

    def teach(self: Relearning, model: Model, lessons: Sequence[Pair], *others: Any) -> None:
        original(self, model, lessons, *others)
        attacked.append(([prompt for prompt, _ in lessons], model.tensor_digests()))

    original = Relearning.teach
    monkeypatch.setattr(Relearning, "teach", teach)

    found = outcomes(llama, seen, place, ["mlp.1"], QUICK, relearning)["mlp.1"]

    with llama.restored():
        QUICK.edit(llama, seen, Localization.of(llama, ["mlp.1"]), place)
        right = [one.credit(0) for one in score_directly(llama, seen.forget)]
        assert found.forgotten == pytest.approx(1 - sum(right) / len(right))
        kept = [one.credit(0) for one in score_directly(llama, seen.maintain_dev)]
        assert found.kept == pytest.approx(sum(kept) / len(kept) if kept else 1.0)
        ((taught, digests),) = attacked
        half = [fact for fact in seen.relearn_train if fact.prompt in taught]
        other = [fact for fact in seen.relearn_train if fact.prompt not in taught]
        assert abs(len(half) - len(other)) <= 1
        assert len(half) + len(other) == len(seen.relearn_train), "only T is used"
        half.sort(key=lambda fact: taught.index(fact.prompt))
        original(relearning, llama, truths(half), place.retain, place.seed)
        assert llama.tensor_digests() == digests
        for facts, share in ((half, found.relearned), (other, 1 - found.held)):
            credits = [one.credit(0) for one in score_directly(llama, facts)]
            assert share == pytest.approx(sum(credits) / len(credits))


def test_an_attack_that_breaks_the_model_is_no_resistance(llama: Model, split: Split, place: EditingPlace) -> None:
    broken = outcomes(llama, split.for_methods(), place, ["mlp.1"], QUICK, Relearning(3, 1e30))["mlp.1"]

    assert broken.held == broken.score == 0


def test_an_attack_that_teaches_nothing_back_is_refused(llama: Model, split: Split, place: EditingPlace) -> None:
    with pytest.raises(UsageError, match="does not bring back what it teaches") as error:
        made(Localizer, "exhaustive[steps=2,relearning_steps=1]").localize(llama, split.for_methods(), place)

    assert "relearning_steps=3" in error.value.hint


def test_every_component_of_the_kind_is_ranked_and_the_model_is_what_it_was(
    llama: Model, split: Split, place: EditingPlace
) -> None:
    before = llama.tensor_digests()

    where = made(Localizer, "exhaustive[steps=2,relearning_steps=0]").localize(llama, split.for_methods(), place)

    assert llama.tensor_digests() == before
    assert set(where.scores) == {f"mlp.{block}" for block in range(llama.blocks)}
    assert all(0 <= score <= 1 for score in where.scores.values())


def test_relearning_teaches_what_it_is_given(llama: Model, split: Split, place: EditingPlace) -> None:
    facts = split.for_methods().forget[:4]

    def likelihood() -> float:
        return sum(one.logprobs[0] for one in score_directly(llama, facts))

    with llama.restored(), torch.random.fork_rng(devices=[]):
        before = likelihood()
        Relearning(steps=5, learning_rate=1e-2).teach(llama, truths(facts), place.retain, place.seed)
        assert likelihood() > before


def test_the_price_is_in_proportion_to_the_steps(llama: Model, split: Split, place: EditingPlace) -> None:
    seen = split.for_methods()
    few, many = (
        price(llama, seen, place, dataclasses.replace(QUICK, steps=steps), Relearning(10, 1e-3)) for steps in (10, 30)
    )

    assert many == pytest.approx(2 * few)
    assert few > 0


def test_what_is_too_dear_is_refused_with_an_estimate_and_with_what_would_be_enough(
    llama: Model, split: Split, place: EditingPlace
) -> None:
    with pytest.raises(UsageError, match=r"4 edits of .* take about \S+ FLOP, and exhaustive may take 1000") as error:
        made(Localizer, "exhaustive[most=1e3]").localize(llama, split.for_methods(), place)

    enough = made(Localizer, error.value.hint.split("say ")[1].split()[0])
    assert enough.most > float(str(error.value).split("about ")[1].split()[0])  # type: ignore[attr-defined]
