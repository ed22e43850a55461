"""Localizations as files: what `localize` writes is what `run` edits, and what is wrong with a file is said."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from unlearnbench.cli import main
from unlearnbench.editing.localization import Localization
from unlearnbench.editing.localization_file import LocalizationFile, read_localization
from unlearnbench.errors import UnknownName, UsageError
from unlearnbench.model.model import Model

RUN = ["run", *"--facts sports:people-16 --methods full_finetune[steps=2] --tasks sports/forget".split()]


@pytest.fixture
def written(tmp_path: Path) -> Callable[[object], Path]:
    """Writes something as a localization file."""

    def write(said: object) -> Path:
        path = tmp_path / "where.json"
        path.write_text(said if isinstance(said, str) else json.dumps(said), encoding="utf-8")
        return path

    return write


def test_what_is_written_is_read_back(written: Callable[[object], Path]) -> None:
    one = LocalizationFile(components=("mlp.1",), scores={"mlp.0": 0.25, "mlp.1": 0.5}, localizer="relp", seed=3)

    assert read_localization(written(one.text)) == one


def test_components_tensors_and_scores_each_say_where(model: Model) -> None:
    mlps = [name for name in model.components if name.startswith("mlp.")]
    tensor = model.components["mlp.1"].parameters[0]

    by_component = LocalizationFile(components=("mlp.1", "embeddings")).localization(model, 0.2)
    by_tensor = LocalizationFile(tensors=(tensor,)).localization(model, 0.2)
    scores = {name: float(place) for place, name in enumerate(mlps)}
    by_score = LocalizationFile(scores=scores).localization(model, 1.0)

    assert by_component.tensors == Localization.named(model, "mlp.1+embeddings").tensors
    assert by_tensor.tensors == {tensor}
    assert by_score.components == tuple(reversed(mlps))


@pytest.mark.parametrize(
    ("said", "wrong", "remedy"),
    [
        ("{", "is no JSON", "components"),
        ({}, "names nothing", "components"),
        ({"component": ["mlp.0"]}, "component: Extra inputs", "components"),
        ({"scores": {"mlp.0": "high"}}, "scores.mlp.0", "components"),
        ({"scores": {"mlp.0": float("nan")}}, "scores.mlp.0: Input should be a finite number", "components"),
    ],
)
def test_a_file_that_says_nothing_is_refused(
    written: Callable[[object], Path], said: object, wrong: str, remedy: str
) -> None:
    with pytest.raises(UsageError) as error:
        read_localization(written(said))

    assert wrong in str(error.value)
    assert remedy in error.value.hint


def test_a_component_or_a_tensor_that_the_model_has_not_is_named_with_the_nearest_that_it_has(model: Model) -> None:
    for one, wrong in (
        (LocalizationFile(components=("mlp.99",)), "mlp.99"),
        (LocalizationFile(scores={"mpl.1": 1.0}), "mpl.1"),
        (LocalizationFile(tensors=("blocks.1.mlp.W_in",)), "blocks.1.mlp.W_in"),
    ):
        with pytest.raises(UnknownName, match=f"localization file '{wrong}'") as error:
            one.localization(model, 0.2)
        assert "there is: " in error.value.hint


@pytest.mark.end_to_end
def test_what_localize_finds_is_drawn_written_and_edited_by_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from unlearnbench.records import store

    monkeypatch.chdir(tmp_path)
    words = "localize --facts sports:people-16 -l relp attribution_patching[points=1] planted named[components=mlp.0]"

    assert main([*words.split(), "--output", "found", "--heat_map", "a.png", "a.svg"]) == 0
    told = capsys.readouterr()

    assert "mlp.3" in told.out
    assert "Overlap" in told.out
    assert "planted: skipped: nobody knows" in told.err
    assert Path("a.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in Path("a.svg").read_text(encoding="utf-8")
    file = Path("found/relp.json")
    found = read_localization(file)
    assert found.model == "tiny"
    assert found.facts == "sports:people-16"

    assert main([*RUN, "--localization", str(file)]) == 0
    (path,) = store.result_files(Path("results"))
    record = store.load(path)
    assert tuple(record.localization.components) == found.components
    assert record.spec.method.parts["localizer"].files["file"].startswith("sha256:")
    assert "from_file" in capsys.readouterr().out


@pytest.mark.end_to_end
@pytest.mark.parametrize(
    ("words", "code", "wrong"),
    [
        ([*RUN, "--localization", "nowhere.json"], 2, "there is no localization 'nowhere.json'"),
        ([*RUN[:4], "none", *RUN[5:], "--localization", "nowhere.json"], 2, "there is no localization"),
        (["localize", "-l", "rlep"], 2, "unknown localizer 'rlep'"),
        (["localize", "--heat_map", "a.jpeg2"], 2, "a.jpeg2 is no name of a picture"),
        (["localize", "-l", "planted"], 5, "none of the localizers found anything"),
        (["localize", "-l", "named[components=mlp.0]", "--heat_map", "a.png"], 2, "nothing to draw"),
        (["localize", "-l", "relp[budget=0.001]"], 5, "none of the localizers found anything"),
    ],
)
def test_what_cannot_be_done_is_said(
    words: list[str], code: int, wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)

    assert main(words) == code
    assert wrong in capsys.readouterr().err
