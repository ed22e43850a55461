"""Where the look-up is wired in by hand every localizer that claims to find it does; where there is none it says so."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from unlearnbench.editing.localizer import Localizer
from unlearnbench.editing.place import EditingPlace
from unlearnbench.errors import UsageError
from unlearnbench.facts import Split
from unlearnbench.locating import lookup
from unlearnbench.locating.contrast import pairs_of
from unlearnbench.locating.lookup import look_up
from unlearnbench.model.reading import encode, last_logits
from unlearnbench.settings import made

FINDERS = (
    "fact_lookup exact_patching exact_patching[direction=denoising] attribution_patching attribution_patching[points=1]"
    " causal_tracing eap_ig relp greedy_pruning probe_rise"
).split()


@pytest.fixture(params=FINDERS)
def finder(request: pytest.FixtureRequest) -> Localizer:
    """Every localizer that claims to find where facts are."""
    word, _, setting = request.param.rstrip("]").partition("[")
    found = made(Localizer, word)
    key, _, value = setting.partition("=")
    return replace(found, **{key: int(value) if value.isdigit() else value}) if setting else found


def test_the_wired_model_knows_its_facts(wired: Callable[..., Any]) -> None:
    for embedded in (False, True):
        there = wired(embedded=embedded)
        for fact in there.split.forget:
            logits = last_logits(there.model, [encode(there.model, fact.prompt, fact.answer)[0]])[0]
            choices = {choice: encode(there.model, fact.prompt, choice)[1][0] for choice in fact.choices}
            assert max(choices, key=lambda choice: logits[choices[choice]]) == fact.answer


def test_the_mlp_that_looks_up_comes_first(finder: Localizer, wired: Callable[..., Any], place: EditingPlace) -> None:
    there = wired(noise=0.003)

    where = finder.localize(there.model, there.split.for_methods(), place)

    mlps = {name: score for name, score in where.scores.items() if name.startswith("mlp.")}
    assert max(mlps, key=lambda name: mlps[name]) == "mlp.1"
    assert where.components[0] == "mlp.1"


def test_the_head_that_fetches_is_the_extraction_head(wired: Callable[..., Any]) -> None:
    there = wired(noise=0.003)

    found = look_up(there.model, pairs_of(there.model, there.split.for_methods(), 64, 0), 5, 0.8)

    assert found.extracting.nonzero().tolist() == [[2, 0]]
    assert found.decided == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("seed", range(6))
def test_a_model_that_knows_nothing_looks_nothing_up(
    random_models: Callable[..., Any], split: Split, place: EditingPlace, seed: int
) -> None:
    with pytest.raises(UsageError, match="looked up"):
        made(Localizer, "fact_lookup").localize(random_models("llama", seed), split.for_methods(), place)


def test_only_what_is_said_at_the_subject_decides(wired: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    there, changed = wired(noise=0.003), dict[str, torch.Tensor]()
    original = lookup._at

    def at(rows: torch.Tensor, columns: torch.Tensor, said: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
        inner = original(rows, columns, said)

        def change(output: torch.Tensor) -> torch.Tensor:
            after = inner(output)
            changed[str(len(changed))] = (after != output).any(-1).nonzero()
            return after

        return change

    monkeypatch.setattr(lookup, "_at", at)
    pairs = pairs_of(there.model, there.split.for_methods(), 64, 0)
    found = look_up(there.model, pairs, 5, 0.8)

    subjects = [[row, subject.stop - 1] for row, subject in enumerate(pairs.subjects)]
    assert len(changed) == sum(effect.mean() > 0 for effect in found.mlps.values())
    assert all(place in subjects for where in changed.values() for place in where.tolist())


def test_a_model_with_its_facts_in_the_embeddings_has_no_look_up_and_is_told_so(
    wired: Callable[..., Any], place: EditingPlace
) -> None:
    there = wired(embedded=True, noise=0.003)

    with pytest.raises(UsageError, match="looked up by MLPs at the subject"):
        made(Localizer, "fact_lookup").localize(there.model, there.split.for_methods(), place)
