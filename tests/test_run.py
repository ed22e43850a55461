"""A run from the command line: the same twice, resumable anywhere, and honest about what failed."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from unlearnbench.cli import main
from unlearnbench.model.digest import weights_digest
from unlearnbench.model.model import Model
from unlearnbench.records import record
from unlearnbench.registry import methods

QUICK = ["--facts", "sports:athletes-16", "--tasks", "sports/forget,sports/maintain", "--method_args", "steps=2"]
KILLER = '''
"""Ends the process with SIGKILL at one point, the first time it is reached."""
import os, signal
from pathlib import Path
from unlearnbench.editing import training
from unlearnbench.records import record
from unlearnbench.running import run as runner

def die(once=Path(os.environ["KILL_MARK"])):
    if not once.exists():
        once.touch()
        os.kill(os.getpid(), signal.SIGKILL)

def dying_before(function):
    def wrapped(*words, **named):
        die()
        return function(*words, **named)
    return wrapped

point = os.environ["KILL_AT"]
if point == "a training step":
    training._descend = dying_before(training._descend)
elif point == "the aggregation of a task":
    runner._results = dying_before(runner._results)
elif point in ("samples.jsonl.gz", "result.json"):
    replace = record._replace
    def killing(path, data):
        if path.name == point:
            die()
        replace(path, data)
    record._replace = killing
'''


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """`unlearnbench run` in an empty folder, with quick settings."""
    monkeypatch.chdir(tmp_path)

    def perform(*words: str) -> int:
        return main(["run", *words, *QUICK])

    return perform


def hashes(folder: Path) -> dict[str, str]:
    """Result hashes below a results folder, by run identity."""
    return {one.spec.hash: one.identity.result_hash for _, one in record.records(folder)}


def test_the_same_command_twice_gives_the_same_results_and_does_nothing_the_second_time(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str]
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


def test_an_edit_is_undone_before_the_next_run(run: Callable[..., int]) -> None:
    run("--methods", "none,full_finetune", "-o", "base-first")
    run("--methods", "full_finetune,none", "-o", "base-last")

    assert hashes(Path("base-first")) == hashes(Path("base-last"))


@pytest.mark.parametrize("point", ["a training step", "the aggregation of a task", "samples.jsonl.gz", "result.json"])
def test_a_run_killed_anywhere_is_resumed_by_the_same_command(point: str, tmp_path: Path) -> None:
    include = tmp_path / "killer"
    include.mkdir()
    (include / "killer.py").write_text(KILLER)
    words = ["run", "--include", str(include), "--methods", "random_mlps,none", *QUICK]
    mark = tmp_path / "killed"
    environment = {**os.environ, "KILL_AT": point, "KILL_MARK": str(mark), "HF_HUB_OFFLINE": "1"}

    def once(output: str) -> int:
        command = [sys.executable, "-m", "unlearnbench", *words, "-o", str(tmp_path / output)]
        return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, timeout=300).returncode

    assert once("killed-run") == -signal.SIGKILL
    assert mark.exists()
    assert not list((tmp_path / "killed-run").rglob("result.json")), "nothing half-written counts as a result"
    assert once("killed-run") == 0
    assert once("undisturbed") == 0
    assert hashes(tmp_path / "killed-run") == hashes(tmp_path / "undisturbed")
    assert len(hashes(tmp_path / "killed-run")) == 2


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


def test_a_record_edited_by_hand_is_named_with_the_hash_it_breaks(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    run("--methods", "none", "-o", "out")
    path = next(Path("out").rglob("result.json"))
    document = json.loads(path.read_text())
    document["metrics"][0]["value"] = 0.0
    path.write_text(json.dumps(document))
    capsys.readouterr()

    for command in (["show", str(path)], ["leaderboard", "out"], ["run", "--methods", "none", "-o", "out", *QUICK]):
        assert main(command) == 1
        assert "result_hash" in capsys.readouterr().err


def test_a_loss_that_is_not_a_number_makes_the_run_invalid_and_unranked(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--methods", "none,full_finetune[learning_rate=1e30]", "-o", "out") == 0

    one = next(r for _, r in record.records(Path("out")) if r.spec.method.name == "full_finetune")
    assert one.status == "invalid"
    assert one.invalid_reason is not None
    assert one.invalid_reason.startswith(("diverged", "collapsed"))
    assert one.metrics == []
    assert f"invalid: {one.label}" in capsys.readouterr().out


def test_a_method_that_changes_nothing_is_invalid(run: Callable[..., int]) -> None:
    run("--methods", "full_finetune[learning_rate=0]", "-o", "out")

    ((_, one),) = record.records(Path("out"))
    assert (one.status, one.invalid_reason) == ("invalid", "changed nothing: every weight is what it was")


@pytest.fixture
def own_method(tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Writes a method called `own` into the folder `mine`; afterwards the registry knows it no longer."""
    folder = tmp_path / "mine"
    folder.mkdir()

    def write(body: str) -> None:
        methods._entries.pop("own", None)
        head = (
            "from dataclasses import dataclass\n"
            "from unlearnbench import Localization, Method, register\n"
            "@register('own')\n"
            "@dataclass(frozen=True, kw_only=True)\n"
            "class Own(Method):\n"
        )
        (folder / "own.py").write_text(head + textwrap.indent(textwrap.dedent(body), "    "))

    yield write
    methods._entries.pop("own", None)


ESCAPING = """
    'Changes an MLP that it did not name.'
    def localize(self, model, split, place):
        return Localization.of(model, ['mlp.0'])
    def edit(self, model, split, where, place):
        model.parameters[model.components['mlp.1'].parameters[0]].data.add_(1.0)
        return []
"""
CARELESS = """
    'Changes the head while it looks for a place to write, and then declares it.'
    def localize(self, model, split, place):
        model.parameters['lm_head.weight'].data.zero_()
        return Localization(frozenset({'lm_head.weight'}), ())
"""


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        pytest.param(ESCAPING, "outside its localization", id="writes outside its localization"),
        pytest.param(CARELESS, "the model is not what it was before", id="leaves a change behind"),
    ],
)
def test_a_method_that_damages_the_model_fails_by_name_and_the_next_run_is_clean(
    body: str,
    complaint: str,
    run: Callable[..., int],
    own_method: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    own_method(body)

    code = run("--include", "mine", "--methods", "own,none", "-o", "out")
    run("--methods", "none", "-o", "alone")

    shown = capsys.readouterr().err
    assert code == 1
    assert complaint in shown
    assert "own[steps=2] · sports:athletes-16 · seed 0: FAILED" in shown
    assert hashes(Path("out")) == hashes(Path("alone")), "the run after it finds the model as it was"


def test_another_source_of_a_method_is_another_run(run: Callable[..., int], own_method: Callable[..., None]) -> None:
    source = "'Full fine-tuning by another name.'\n"

    for text in (source, source + "# edited\n"):
        own_method(text)
        assert run("--include", "mine", "--methods", "own", "-o", "out") == 0

    assert len(hashes(Path("out"))) == 2


def test_a_damaged_item_log_is_not_taken_for_a_finished_run(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    run("--methods", "none", "-o", "out")
    next(Path("out").rglob("samples.jsonl.gz")).unlink()
    capsys.readouterr()

    assert run("--methods", "none", "-o", "out") == 1
    assert "item log" in capsys.readouterr().err


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
    )

    found = {one.spec.method.name: one for _, one in record.records(Path("out"))}
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


def test_interrupting_ends_with_130_and_says_how_to_resume(
    run: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("unlearnbench.running.run.Runner.run", interrupted)

    assert run("--methods", "none", "-o", "out") == 130
    assert "same command resumes" in capsys.readouterr().err


def test_a_folder_named_tasks_or_methods_in_the_working_directory_is_never_imported(tmp_path: Path) -> None:
    for name in ("tasks", "methods", "leaderboard", "benchmark"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('hostile code ran')\n")
    words = ["run", "--methods", "none", *QUICK]

    done = subprocess.run(
        [sys.executable, "-m", "unlearnbench", *words], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )

    assert done.returncode == 0, done.stderr
    assert "hostile" not in done.stderr + done.stdout
    assert len(list((tmp_path / "results").rglob("result.json"))) == 1
