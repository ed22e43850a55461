"""The shipped organisms are what their model cards say: answers, references and mechanism."""

import json
from pathlib import Path

import pytest

from unlearnbench.model.shipped import MODELS, oracle_folder, oracles, organism_folder, organisms
from unlearnbench.organisms import report as reports
from unlearnbench.organisms.recipe import RECIPES, Recipe

MOST_BYTES = 20 * 2**20

pytestmark = [pytest.mark.end_to_end, pytest.mark.skip(reason="the organisms of this world are being pretrained")]


@pytest.fixture(scope="module", params=organisms())
def measured(request: pytest.FixtureRequest) -> reports.Report:
    """The report of one shipped organism."""
    return reports.report(request.param)


def test_every_figure_is_what_is_asked_of_it(measured: reports.Report) -> None:
    missed = [f"{f.name}: {f.value:.3f}, asked {f.asked}" for f in measured.figures if not f.met]

    assert len(measured.figures) >= 20
    assert not missed


def test_facts_are_looked_up_at_the_subject_before_they_are_extracted(measured: reports.Report) -> None:
    wordings = list(measured.swaps)
    first = [sum(s.subject[b] for s in wordings) / len(wordings) for b in range(len(measured.probe))]

    assert first.index(max(first)) < measured.extraction
    assert measured.extraction < len(measured.probe) - 1


def test_the_model_card_states_the_measured_figures(measured: reports.Report) -> None:
    card = (MODELS / "tiny" / "README.md").read_text(encoding="utf-8").replace(" ", "")

    stated = [(figure.name, f"|{figure.name}|{figure.value:.3f}|".replace(" ", "")) for figure in measured.figures]
    lacking = [name for name, line in stated if line not in card]
    assert not lacking


def test_an_untrained_model_fails_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from unlearnbench.model.loading import load
    from unlearnbench.model.source import locate

    model = load(locate("tiny", {}, None))
    with model.restored(), torch.no_grad():
        generator = torch.Generator().manual_seed(0)
        for parameter in model.parameters.values():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.02)
        answers = reports.direct(model, reports.athletes(), reports.DIRECT)
        letters = reports.choice(model, reports.athletes())

    assert answers < 0.5
    assert letters < 0.4


def test_all_shipped_weights_together_are_small() -> None:
    total = sum(path.stat().st_size for path in MODELS.rglob("*") if path.is_file())

    assert total <= MOST_BYTES


def test_the_oracles_that_facts_need_are_there() -> None:
    assert {"sports:athletes-64", "sports:basketball"} <= set(oracles("tiny"))
    assert oracle_folder("tiny", "sports:football") is None


@pytest.mark.parametrize("name", organisms())
def test_a_shipped_model_was_made_by_the_recipe_in_the_code(name: str) -> None:
    folders = [organism_folder(name), *(oracle_folder(name, facts) for facts in oracles(name))]

    for folder in folders:
        assert isinstance(folder, Path)
        made_by = json.loads((folder / "recipe.json").read_text())
        without = made_by.pop("without")
        assert folder.name == ("base" if without is None else f"without-sports-{without}")
        assert Recipe(**made_by) == RECIPES[name]
