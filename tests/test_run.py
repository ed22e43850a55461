"""A run from the command line: the same twice, of any model, and honest about what it finds."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

import unlearnbench
from unlearnbench.cli import main
from unlearnbench.model.digest import weights_digest
from unlearnbench.model.model import Model
from unlearnbench.records import store

pytestmark = pytest.mark.end_to_end


def test_the_same_command_twice_gives_the_same_results_and_does_nothing_the_second_time(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str], hashes: Callable[[Path], dict[str, str]]
) -> None:
    words = ["--methods", "none,random_mlps", "--seeds", "0,1"]

    assert run(*words, "-o", "first") == 0
    assert run(*words, "-o", "second") == 0
    before = {path: path.stat().st_mtime_ns for path in Path("first").rglob("*.json")}
    capsys.readouterr()
    assert run(*words, "-o", "first") == 0

    assert len(hashes(Path("first"))) == 4
    assert hashes(Path("first")) == hashes(Path("second"))
    assert before == {path: path.stat().st_mtime_ns for path in Path("first").rglob("*.json")}
    assert "4 of 4 runs are already" in capsys.readouterr().err


def test_an_edit_is_undone_before_the_next_run(
    run: Callable[..., int], hashes: Callable[[Path], dict[str, str]]
) -> None:
    run("--methods", "none,full_finetune", "-o", "base-first")
    run("--methods", "full_finetune,none", "-o", "base-last")

    assert hashes(Path("base-first")) == hashes(Path("base-last"))


def test_a_dry_run_says_what_is_done_and_writes_nothing(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    run("--methods", "none", "-o", "out")
    written = sorted(Path("out").rglob("*"))
    capsys.readouterr()

    assert run("--methods", "none,random_mlps", "-o", "out", "--dry_run") == 0
    assert run("--methods", "none", "-o", "elsewhere", "--dry_run") == 0

    shown = capsys.readouterr().out
    assert "done" in shown
    assert "to do" in shown
    assert sorted(Path("out").rglob("*")) == written
    assert not Path("elsewhere").exists()


def test_a_record_edited_by_hand_is_named_with_the_hash_it_breaks_and_only_that_run_is_repeated(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str], hashes: Callable[[Path], dict[str, str]]
) -> None:
    run("--methods", "none", "--seeds", "0,1", "-o", "out")
    clean = hashes(Path("out"))
    path, other = (path for path in store.result_files(Path("out")))
    document = json.loads(path.read_text())
    document["tasks"][0]["metrics"][0]["value"] = 0.0
    path.write_text(json.dumps(document))
    capsys.readouterr()

    assert main(["show", str(path)]) == 1
    assert "result_hash of sports/forget" in capsys.readouterr().err
    assert main(["leaderboard", "out"]) == 1
    shown = capsys.readouterr()
    assert "left out" in shown.err
    assert "result_hash of sports/forget" in shown.err
    assert "none" in shown.out, "the other record is shown"
    before = other.stat().st_mtime_ns
    assert run("--methods", "none", "--seeds", "0,1", "-o", "out") == 0
    assert "1 of 2 runs are already" in capsys.readouterr().err
    assert hashes(Path("out")) == clean
    assert other.stat().st_mtime_ns == before
    assert list(path.parents[1].glob(".*.damaged-1")), "what was there is kept aside"


def test_a_loss_that_is_not_a_number_makes_the_run_invalid_and_unranked(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--methods", "none,full_finetune[learning_rate=1e30]", "-o", "out") == 0

    one = next(r for _, r in store.records(Path("out")) if r.spec.method.name == "full_finetune")
    assert one.status == "invalid"
    assert one.invalid_reason is not None
    assert one.invalid_reason.startswith(("diverged", "collapsed"))
    assert one.tasks == []
    assert f"invalid: {one.label}" in capsys.readouterr().out


def test_a_method_that_changes_nothing_is_invalid(run: Callable[..., int]) -> None:
    run("--methods", "full_finetune[learning_rate=0]", "-o", "out")

    ((_, one),) = store.records(Path("out"))
    assert (one.status, one.invalid_reason) == ("invalid", "changed nothing: every weight is what it was")


def test_a_damaged_item_log_is_not_taken_for_a_finished_run(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str], hashes: Callable[[Path], dict[str, str]]
) -> None:
    run("--methods", "none", "-o", "out")
    clean = hashes(Path("out"))
    next(Path("out").rglob("*.jsonl.gz")).unlink()
    capsys.readouterr()

    assert run("--methods", "none", "-o", "out") == 0

    assert "0 of 1 runs are already" in capsys.readouterr().err
    assert hashes(Path("out")) == clean


def test_a_record_of_another_edit_in_a_runs_folder_is_not_taken_for_its_own(
    run: Callable[..., int], hashes: Callable[[Path], dict[str, str]]
) -> None:
    run("--methods", "none", "--seeds", "0,1", "-o", "out")
    clean = hashes(Path("out"))
    first, second = (path.parent for path in store.result_files(Path("out")))
    shutil.rmtree(second)
    shutil.copytree(first, second)

    assert run("--methods", "none", "--seeds", "0,1", "-o", "out") == 0

    assert hashes(Path("out")) == clean


def test_from_python_a_run_is_a_call_and_its_record_can_be_loaded(tmp_path: Path) -> None:
    words = {"facts": ["sports:people-16"], "methods": ["none"], "tasks": ["sports/forget"]}

    (one,) = unlearnbench.run(**words, output_path=tmp_path)  # type: ignore[arg-type]

    assert unlearnbench.load(tmp_path / one.spec.path) == one
    accuracy = one.metric("sports/forget")
    assert accuracy is not None
    assert accuracy.value > 0.9


def test_a_device_that_is_not_there_is_found_before_any_run(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--methods", "none", "--device", "warp9", "-o", "out") == 5
    assert "cannot be loaded on warp9" in capsys.readouterr().err


def test_a_folder_of_any_architecture_runs_through_and_nothing_outside_the_localization_changes(
    run: Callable[..., int], model: Model, saved: Callable[[Model], Path]
) -> None:
    methods = "none,full_finetune,attribution_patching,random_mlps"
    before = model.tensor_digests()

    code = run(
        *("--model", "hf", "--model_args", f"pretrained={saved(model)}", "--retain_text", "world"),
        *("--methods", methods, "--method_args", "learning_rate=1e-3", "-o", "out"),
        facts="sports:people-16[known=0]",
    )

    found = {one.spec.method.name: one for _, one in store.records(Path("out"))}
    assert code == 0
    assert set(found) == set(methods.split(","))
    for name, one in found.items():
        assert one.status == "completed"
        assert one.weights.base_sha256 == weights_digest(before)
        assert one.localization.change_outside == 0
        assert (one.weights.edited_sha256 == one.weights.base_sha256) is (name == "none")


def test_a_model_folder_that_lacks_a_tensor_is_refused(
    run: Callable[..., int], llama: Model, saved: Callable[[Model], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = saved(llama)
    tensors = load_file(folder / "model.safetensors")
    save_file(
        {k: v for k, v in tensors.items() if k != "model.norm.weight"}, folder / "model.safetensors", {"format": "pt"}
    )

    code = run("--model", "hf", "--model_args", f"pretrained={folder}", "--retain_text", "world", "--methods", "none")

    assert code == 5
    assert "'model.norm.weight' (1 in all)" in capsys.readouterr().err


def test_a_folder_named_tasks_or_methods_in_the_working_directory_is_never_imported(
    tmp_path: Path, quick: list[str]
) -> None:
    for name in ("tasks", "methods", "leaderboard", "benchmark"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('hostile code ran')\n")
    words = ["run", "--methods", "none", *quick]

    done = subprocess.run(
        [sys.executable, "-m", "unlearnbench", *words], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )

    assert done.returncode == 0, done.stderr
    assert "hostile" not in done.stderr + done.stdout
    assert len(list((tmp_path / "results").rglob("result.json"))) == 1
