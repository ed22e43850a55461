"""`--save_model`: an edited model is kept as a normal Hugging Face folder, and nothing else is ever overwritten."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from unlearnbench import record, registry
from unlearnbench.cli import main
from unlearnbench.model import Model
from unlearnbench.scoring import Asked, score

Run = Callable[..., int]
FACTS = ["--facts", "sports:athletes-16", "--tasks", "sports/forget", "--retain_text", "world", "-o", "out"]
QUICK = ["--methods", "full_finetune", "--method_args", "steps=2,learning_rate=1e-2"]
KEPT = ["--save_model", "kept"]
STEP = """
from dataclasses import dataclass
from unlearnbench import Localization, Method, register

@register("step")
@dataclass(frozen=True, kw_only=True)
class Step(Method):
    "Adds one to every weight of a matrix."
    def localize(self, model, split, place):
        return Localization.of(model, ["mlp.0"])
    def edit(self, model, split, where, place):
        model.parameters[model.components["mlp.0"].parameters[0]].data += 1.0
        return []
"""


@pytest.fixture
def run(saved: Callable[[Model], Path], llama: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """`unlearnbench run` on the random model `llama` in an empty folder, keeping the edited model in `kept`."""
    folder = saved(llama)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "_included", [])

    def perform(*words: str, model: Path | str = folder) -> int:
        return main(["run", "--model", "hf", "--model_args", f"pretrained={model}", *FACTS, *words])

    yield perform
    registry.methods._entries.pop("step", None)


def test_a_kept_model_is_a_normal_folder_with_the_weights_that_were_scored(run: Run, llama: Model) -> None:
    assert run(*QUICK, *KEPT) == 0
    assert run("--methods", "none", "-o", "again", model="kept") == 0

    loaded = Model(AutoModelForCausalLM.from_pretrained("kept"), AutoTokenizer.from_pretrained("kept"))
    prompts = [Asked("Fact: Ann Lee plays the sport of", ("golf",)), Asked("Today is a", ("day",))]
    before, after = (torch.tensor([s.logprobs for s in score(model, prompts, 8)]) for model in (llama, loaded))
    assert (before - after).abs().min() > 1e-3
    (done,), (later,) = (record.records(Path(folder)) for folder in ("out", "again"))
    assert later[1].weights.base_sha256 == done[1].weights.edited_sha256 != done[1].weights.base_sha256
    scored = {row["item"]: row["logprobs"] for row in record.load_rows(*done)}
    for row in record.load_rows(*later):
        assert row["logprobs"] == pytest.approx(scored[row["item"]], abs=1e-5)
    said = json.loads(Path("kept/unlearnbench_run.json").read_text())
    assert (said["spec_hash"], said["spec"]) == (done[1].spec.hash, done[1].spec.model_dump(mode="json"))


def test_logits_of_a_kept_model_are_those_of_the_same_edit_by_hand(run: Run, llama: Model) -> None:
    Path("mine").mkdir()
    Path("mine/step.py").write_text(STEP)
    ids = torch.tensor([llama.tokenizer("Fact: Ann Lee plays the sport of golf").input_ids])

    assert run("--include", "mine", "--methods", "step", *KEPT) == 0

    llama.parameters[llama.components["mlp.0"].parameters[0]].data += 1.0
    with torch.no_grad():
        assert torch.equal(AutoModelForCausalLM.from_pretrained("kept")(ids).logits, llama.network(ids).logits)


def test_the_same_command_again_keeps_the_folder_and_makes_it_anew_where_it_is_gone(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*QUICK, *KEPT) == 0
    weights = Path("kept/model.safetensors")
    first, written = weights.read_bytes(), weights.stat().st_mtime_ns
    capsys.readouterr()

    assert run(*QUICK, *KEPT) == 0
    assert "1 of 1 runs are already" in capsys.readouterr().err
    assert weights.stat().st_mtime_ns == written
    Path("kept").rename("elsewhere")
    assert run(*QUICK, *KEPT) == 0

    assert weights.read_bytes() == first


def test_several_runs_are_kept_in_folders_of_their_own(run: Run) -> None:
    assert run(*QUICK, *KEPT, "--seeds", "0,1") == 0

    folders = [Path("kept") / one.spec.path for _, one in record.records(Path("out"))]
    assert len(set(folders)) == 2
    assert all((folder / "config.json").is_file() for folder in folders)


def _things(path: Path) -> None:
    path.mkdir()
    (path / "thesis.txt").write_text("mine")


def _another_run(path: Path) -> None:
    path.mkdir()
    (path / "unlearnbench_run.json").write_text('{"spec_hash": "sha256:0"}')


@pytest.mark.parametrize(
    ("make", "holds"),
    [
        (_things, "other things"),
        (lambda path: path.write_text("mine"), "a file"),
        (_another_run, "the model of another run"),
    ],
    ids=["things", "file", "another run"],
)
def test_a_folder_that_is_taken_is_refused_before_any_work(
    make: Callable[[Path], Any],
    holds: str,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("a model was loaded")

    make(Path("kept"))
    found = sorted(str(path) for path in Path("kept").rglob("*"))
    monkeypatch.setattr("unlearnbench.runner.load", never)

    assert run(*QUICK, *KEPT) == 2

    shown = capsys.readouterr().err
    assert f"--save_model kept is taken: there is {holds}" in shown
    assert "name a folder that does not exist yet" in shown
    assert sorted(str(path) for path in Path("kept").rglob("*")) == found
    assert not list(Path("out").rglob("result.json"))


def test_a_place_that_cannot_hold_a_model_is_found_before_any_work(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("a model was loaded")

    Path("file").write_text("in the way")
    monkeypatch.setattr("unlearnbench.runner.load", never)

    assert run(*QUICK, "--save_model", "file/kept") == 5
    assert "edited models cannot be written to file" in capsys.readouterr().err
