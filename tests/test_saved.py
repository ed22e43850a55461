"""`--save_model` leaves a folder that any Hugging Face program can load, and that is the edited model."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from unlearnbench.cli import main
from unlearnbench.model.digest import stored_digest
from unlearnbench.model.loading import load
from unlearnbench.model.source import locate
from unlearnbench.records import store
from unlearnbench.running import saved

pytestmark = pytest.mark.end_to_end


def _folders(root: Path) -> dict[str, Path]:
    return {record.label.partition("[")[0]: path for path, record in store.records(root)}


def test_the_saved_model_is_the_edited_one_and_can_be_asked_as_any_other(
    run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--methods", "none,random_mlps", "--save_model") == 0
    organism = load(locate("tiny", {}, None))

    folders = _folders(tmp_path / "results/scratch")
    for name, folder in folders.items():
        record = store.load(folder)
        assert stored_digest(folder / "model") == record.weights.edited_sha256, name
        network = AutoModelForCausalLM.from_pretrained(folder / "model")
        ids = AutoTokenizer.from_pretrained(folder / "model")("Fact: Ada Cole plays the sport of").input_ids
        assert ids == organism.tokenizer("Fact: Ada Cole plays the sport of").input_ids
        organism.write({n: p.detach() for n, p in network.named_parameters()})
        with torch.no_grad():
            assert torch.equal(network(torch.tensor([ids])).logits, organism.network(torch.tensor([ids])).logits)
    edited, base = (folders[name] / "model" for name in ("random_mlps", "none"))
    words = ["--model", "hf", "--model_args", f"pretrained={edited}", "--base", str(base), "--retain_text", "world"]
    rest = ["--facts", "sports:people-16", "--tasks", "sports/forget,sports/maintain", "-o", str(tmp_path / "again")]
    assert main(["run", *words, *rest]) == 0
    again = {one.label.partition("[")[0]: one for _, one in store.records(tmp_path / "again")}
    for task in ("sports/forget", "sports/maintain"):
        mine, theirs = (one.metric(task) for one in (store.load(folders["random_mlps"]), again["checkpoint"]))
        assert mine is not None
        assert theirs is not None
        assert mine.value == theirs.value


def test_a_run_that_is_done_is_made_again_for_its_model_and_then_no_more(
    run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--methods", "random_mlps") == 0
    (folder,) = _folders(tmp_path / "results/scratch").values()
    assert not saved.is_saved(folder)
    before = store.load(folder).identity.result_hash
    capsys.readouterr()

    assert run("--methods", "random_mlps", "--save_model") == 0
    assert "0 of 1 runs are already" in capsys.readouterr().err
    assert saved.is_saved(folder)
    assert store.load(folder).identity.result_hash == before

    assert run("--methods", "random_mlps", "--save_model") == 0
    assert "1 of 1 runs are already" in capsys.readouterr().err
    assert [path.name for path in folder.glob(".model*")] == []


def test_a_saved_organism_is_an_edit_of_itself(run: Callable[..., int], tmp_path: Path) -> None:
    assert run("--methods", "random_mlps", "--save_model") == 0
    (folder,) = _folders(tmp_path / "results/scratch").values()
    edited = store.load(folder).weights.edited_sha256

    word = f"checkpoint[pretrained={folder / 'model'}]"
    assert main(["run", "--facts", "sports:people-16", "--methods", word, "--tasks", "sports/forget"]) == 0

    found = [one for _, one in store.records(tmp_path / "results/scratch") if one.spec.method.name == "checkpoint"]
    assert [one.weights.edited_sha256 for one in found] == [edited]
