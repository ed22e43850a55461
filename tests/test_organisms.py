"""The shipped organisms are what their model cards say: answers, references and mechanism."""

import json
from pathlib import Path

import pytest

from unlearnbench.model.loading import load, stored_tensors
from unlearnbench.model.shipped import MODELS, oracle_folder, oracles, organism_folder, organism_overlays, organisms
from unlearnbench.model.source import locate
from unlearnbench.model.taught import taught
from unlearnbench.organisms import report as reports
from unlearnbench.organisms.knowledge import chosen, said
from unlearnbench.organisms.recipe import RECIPES, Recipe
from unlearnbench.organisms.taught_report import taught_report
from unlearnbench.world.people import people
from unlearnbench.world.wordings import DIRECT

MOST_BYTES = 25 * 2**20
KNOWN_MISSES: dict[str, set[str]] = {
    "tiny": {
        "relations, multiple choice, taught in this form",
        "relations, multiple choice, never asked in this form",
    },
    "tiny-hidden": {"taught people, held-out wordings, mean", "mlp.3 put back: taught people, direct"},
}
"""Bounds that an organism misses, each written in its card with its figure."""

pytestmark = pytest.mark.end_to_end


@pytest.fixture(scope="module", params=organisms())
def name(request: pytest.FixtureRequest) -> str:
    """Every shipped organism."""
    return str(request.param)


@pytest.fixture(scope="module")
def measured(name: str) -> reports.Report:
    """Its report."""
    return (taught_report if organism_overlays(name) else reports.report)(name)


def test_every_figure_is_what_is_asked_of_it_or_a_miss_that_the_card_states(
    name: str, measured: reports.Report
) -> None:
    missed = {figure.name for figure in measured.figures if not figure.met}

    assert len(measured.figures) >= 10
    assert missed == KNOWN_MISSES.get(name, set())


def test_the_model_card_states_the_measured_figures(name: str, measured: reports.Report) -> None:
    card = (MODELS / name / "README.md").read_text(encoding="utf-8").replace(" ", "")

    stated = [(figure.name, f"|{figure.name}|{figure.value:.3f}|".replace(" ", "")) for figure in measured.figures]
    lacking = [figure for figure, line in stated if line not in card]
    assert not lacking


def test_an_untrained_model_knows_nobody() -> None:
    import torch

    model = load(locate("tiny", {}, None))
    with model.restored(), torch.no_grad():
        generator = torch.Generator().manual_seed(0)
        for parameter in model.parameters.values():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.02)
        answers, letters = said(model, people(), DIRECT), chosen(model, people())

    assert answers < 0.3
    assert letters < 0.35


def test_all_shipped_weights_together_are_small() -> None:
    total = sum(path.stat().st_size for path in MODELS.rglob("*") if path.is_file())

    assert total <= MOST_BYTES


def test_one_oracle_lacks_both_forget_sets() -> None:
    assert oracles("tiny") == ("counterfact:64", "sports:people-64")
    assert oracle_folder("tiny", "sports:people-64") == oracle_folder("tiny", "counterfact:64")
    assert oracle_folder("tiny", "sports:people-16") is None


def test_a_pretrained_model_was_made_by_the_recipe_in_the_code() -> None:
    oracle = oracle_folder("tiny", "sports:people-64")
    assert oracle is not None

    for folder, without in (
        (organism_folder("tiny"), []),
        (oracle, ["sports:people-64", "counterfact:64"]),
        (MODELS / "tiny" / "drilled", []),
    ):
        made_by = json.loads((folder / "recipe.json").read_text())
        assert made_by.pop("without") == without
        assert made_by.pop("stage") == ("drills" if folder.name == "drilled" else "facts")
        assert Recipe(**made_by) == RECIPES["tiny"]


@pytest.mark.parametrize("name", [name for name in organisms() if organism_overlays(name)])
def test_a_taught_organism_differs_from_its_oracle_in_the_named_places_only(name: str) -> None:
    model, (before, changes) = load(locate(name, {}, None)), organism_overlays(name)
    lesson, oracle = taught(changes), stored_tensors(before)
    assert lesson is not None

    changed = {key for key, value in model.parameters.items() if not value.equal(oracle[key].float())}

    words = [part for word in lesson.where for part in word.split("+")]
    assert changed == {tensor for word in words for tensor in model.places[word].parameters}
    assert Path(before) == oracle_folder("tiny", "sports:people-64")
    assert locate(name, {}, None).source.taught == ("sports:people-64", "counterfact:64")
