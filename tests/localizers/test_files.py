"""Localizations as files: what `localize` writes is what `run` edits, and what is wrong with a file is said."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from unlearnbench.cli import heat_map, main
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
        (LocalizationFile(scores={"embeddings": 1.0}), "embeddings"),
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

    assert main(["repeat", str(path.parent)]) == 2
    assert "--method_args file=FILE" in capsys.readouterr().err
    assert main(["repeat", str(path.parent), "--method_args", f"file={file}"]) == 0
    assert "the same result" in capsys.readouterr().out

    assert main([*RUN, "--localization", str(file), "--seeds", "1", "--model", "tiny-planted"]) == 0
    notes = capsys.readouterr().err
    assert "note: relp.json was made from other weights, of tiny" in notes
    assert "note: relp.json was made at seed 0" in notes


@pytest.mark.end_to_end
def test_heads_and_matrices_are_drawn_written_and_edited_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from unlearnbench.records import store

    monkeypatch.chdir(tmp_path)
    words = ["relp[budget=0.1,granularity=matrix]", "relp[budget=0.1,granularity=head]"]

    assert main(["localize", "--facts", "sports:people-16", "-l", *words, "-o", "found", "--heat_map", "a.png"]) == 0
    out = capsys.readouterr().out
    chosen = [line.split()[0] for line in out.splitlines() if " *" in line and "." in line.split()[0]]
    matrices, heads = (read_localization(Path("found") / f"{word}.json") for word in words)
    assert matrices.tensors
    assert not matrices.components
    assert all(f"attention.{name.split('.')[1]}" in heads.components for name in chosen if name.count(".") == 1)
    assert {name for name in chosen if name.endswith("_proj")}

    for found, word in ((matrices, words[0]), (heads, words[1])):
        assert main([*RUN, "--localization", f"found/{word}.json", "-o", f"out-{len(word)}"]) == 0
        (path,) = store.result_files(Path(f"out-{len(word)}"))
        where = store.load(path).localization
        assert (tuple(sorted(where.tensors)) == found.tensors) if found.tensors else True
        assert tuple(where.components) == found.components


@pytest.mark.end_to_end
def test_what_localize_finds_is_what_a_run_edits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from unlearnbench.records import store

    monkeypatch.chdir(tmp_path)
    words = ["random_mlps", "attribution_patching[examples=3]"]
    assert main(["localize", "--facts", "sports:people-16", "--seed", "2", "-l", *words, "-o", "found"]) == 0
    methods = ["random_mlps[steps=1]", "attribution_patching[examples=3,steps=1]"]

    assert main([*RUN[:4], *methods, *RUN[5:], "--seeds", "2"]) == 0

    records = {r.spec.method.name: r for r in map(store.load, store.result_files(Path("results")))}
    for word in words:
        said = read_localization(Path("found") / f"{word}.json")
        assert tuple(records[word.partition("[")[0]].localization.components) == said.components
        scores = records[word.partition("[")[0]].localization.scores
        assert dict(scores) == pytest.approx(said.scores)


@pytest.mark.end_to_end
def test_a_budget_beside_a_file_of_scores_is_the_files(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    written: Callable[[object], Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    from unlearnbench.records import store

    monkeypatch.chdir(tmp_path)
    file = written({"scores": {f"mlp.{block}": float(block) for block in range(6)}})

    assert main([*RUN, "--localization", str(file), "--method_args", "budget=0.5"]) == 0
    (path,) = store.result_files(Path("results"))
    assert store.load(path).localization.components == ["mlp.5", "mlp.4", "mlp.3", "mlp.2"]

    assert main([*RUN[:4], "random_mlps[budget=0.5]", *RUN[5:], "--localization", str(file)]) == 2
    assert "sets budget of its localizer" in capsys.readouterr().err


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
        (["localize", "-l", "relp[budget=0.001]"], 5, "the smallest allowed budget is"),
        (["localize", "-l", "named[components=mlp.99]"], 2, "did you mean"),
        (["localize", "--facts", "sports:athletes-16"], 2, "tiny was never told of sports:athletes-16"),
        (["localize", "--facts_file", "nowhere.csv"], 2, "there is no such file"),
        (["localize", "--seed", "-1"], 2, "seed -1 is not between"),
        (["localize", "--threads", "0"], 2, "--threads must be 1 or more"),
        (["localize", "-l", "relp", "from_file[file=nowhere.json]"], 2, "there is no localization"),
        (["localize", "--heat_map", "nowhere/a.png"], 5, "there is no folder nowhere"),
        (["localize", "-o", "/dev/null/x"], 5, "cannot be written"),
    ],
)
def test_what_cannot_be_done_is_said(
    words: list[str], code: int, wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)

    assert main(words) == code
    assert wrong in capsys.readouterr().err


def test_a_picture_has_each_score_at_its_block_and_kind_over_the_largest() -> None:
    scores = {"attention.0": 1.0, "mlp.1": -4.0, "mlp.0": 2.0, "attention.1.3": 0.0}
    one = SimpleNamespace(where=SimpleNamespace(scores=scores))

    columns = heat_map._columns(one)  # type: ignore[arg-type]
    grid = heat_map._grid(one, columns, 2)  # type: ignore[arg-type]

    assert columns == ["attention", "mlp", "attention.3"]
    assert grid[0][:2] == [0.25, 0.5]
    assert math.isnan(grid[0][2])
    assert math.isnan(grid[1][0])
    assert grid[1][1:] == [-1.0, 0.0]
