"""What is done is not done again: after a kill, beside another command, and when more is asked of an edit."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from unlearnbench.cli import main
from unlearnbench.editing.finetuning import FineTuning
from unlearnbench.model.model import Model
from unlearnbench.records import store

pytestmark = pytest.mark.end_to_end
KILLER = '''
"""Ends the process with SIGKILL at one point, the first time it is reached."""
import os, signal
from pathlib import Path
import torch
from unlearnbench.records import store
from unlearnbench.running import ask

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
    torch.optim.AdamW.step = dying_before(torch.optim.AdamW.step)
elif point == "the aggregation of a task":
    ask.estimates = dying_before(ask.estimates)
else:
    put = store.replace_file
    def killing(path, data):
        if path.name == point or path.name.startswith(point):
            die()
        put(path, data)
    store.replace_file = killing
'''


@pytest.fixture(scope="module")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory, hashes: Callable[[Path], dict[str, str]], quick: list[str]
) -> dict[str, str]:
    """What the command that is killed gives when it is not."""
    output = tmp_path_factory.mktemp("undisturbed")
    assert main(["run", "--methods", "random_mlps,none", *quick, "-o", str(output)]) == 0
    assert len(hashes(output)) == 2
    return hashes(output)


@pytest.mark.parametrize("point", ["a training step", "the aggregation of a task", "sports.forget", "result.json"])
def test_a_run_killed_anywhere_is_resumed_by_the_same_command(
    point: str, tmp_path: Path, undisturbed: dict[str, str], hashes: Callable[[Path], dict[str, str]], quick: list[str]
) -> None:
    include = tmp_path / "killer"
    include.mkdir()
    (include / "killer.py").write_text(KILLER)
    words = ["run", "--include", str(include), "--methods", "random_mlps,none", *quick]
    mark = tmp_path / "killed"
    environment = {**os.environ, "KILL_AT": point, "KILL_MARK": str(mark), "HF_HUB_OFFLINE": "1"}

    def once(output: str) -> int:
        command = [sys.executable, "-m", "unlearnbench", *words, "-o", str(tmp_path / output)]
        return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, timeout=300).returncode

    assert once("killed-run") == -signal.SIGKILL
    assert mark.exists()
    assert not list((tmp_path / "killed-run").rglob("result.json")), "nothing half-written counts as a result"
    assert once("killed-run") == 0
    assert hashes(tmp_path / "killed-run") == undisturbed


def test_interrupting_ends_with_130_and_says_how_to_resume(
    run: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("unlearnbench.running.runner.Runner.run", interrupted)

    assert run("--methods", "none", "-o", "out") == 130
    assert "same command resumes" in capsys.readouterr().err


def test_two_identical_commands_at_once_share_the_work(
    tmp_path: Path, hashes: Callable[[Path], dict[str, str]], quick: list[str]
) -> None:
    methods = "none,all_mlps,random_mlps,attribution_patching"
    words = ["run", "--methods", methods, "--seeds", "0,1", *quick, "-o", "out"]
    command = [sys.executable, "-m", "unlearnbench", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    both = [subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=environment) for _ in "ab"]
    said = [one.communicate(timeout=300)[1] for one in both]

    assert [one.returncode for one in both] == [0, 0]
    assert sum(text.count(": done (") for text in said) == 8, "every run was done once"
    assert len(hashes(tmp_path / "out")) == 8
    assert not (tmp_path / "out" / ".locks").exists()


def asked(tasks: str, *words: str) -> list[str]:
    """A quick command that asks these tasks of one edit."""
    facts = ["--facts", "sports:people-16", "--tasks", tasks]
    return ["run", *facts, "--methods", "random_mlps[steps=2]", "-o", "out", *words]


def test_one_more_task_is_added_and_what_is_there_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hashes: Callable[[Path], dict[str, str]]
) -> None:
    monkeypatch.chdir(tmp_path)
    main(asked("sports/forget"))
    ((folder, first),) = store.records(Path("out"))
    logs = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.gz")}

    assert main(asked("sports/maintain,sports/forget")) == 0

    ((again, both),) = store.records(Path("out"))
    assert again == folder
    assert both.tasks[0] == first.tasks[0]
    assert [one.spec.name for one in both.tasks] == ["sports/forget", "sports/maintain"]
    assert [one.session for one in both.tasks] == [0, 1]
    assert both.sessions[0] == first.sessions[0]
    assert {name: (folder / name).stat().st_mtime_ns for name in logs} == logs
    main([*asked("sports/forget,sports/maintain")[:-2], "-o", "at-once"])
    assert hashes(Path("at-once")) == hashes(Path("out"))


def test_a_kept_edit_is_used_when_its_digest_matches_and_made_again_when_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hashes: Callable[[Path], dict[str, str]]
) -> None:
    monkeypatch.chdir(tmp_path)
    main(asked("sports/forget", "--keep_edits"))
    (path,) = Path("out").rglob("edit.safetensors")
    edits = list[str]()
    real = FineTuning.edit

    def counting(method: FineTuning, *words: Any) -> Any:
        edits.append(method.name)
        return real(method, *words)

    monkeypatch.setattr(FineTuning, "edit", counting)
    assert main(asked("sports/maintain")) == 0
    assert edits == [], "the kept tensors were used"

    tensors = load_file(path)
    save_file({name: tensor + 1 for name, tensor in tensors.items()}, path)
    assert main(asked("sports/paraphrase")) == 0
    assert edits == ["random_mlps"], "tensors that are not the record's were not used"
    ((_, one),) = store.records(Path("out"))
    assert len(one.tasks) == 3
    main([*asked("sports/forget,sports/maintain,sports/paraphrase")[:-2], "-o", "at-once"])
    assert hashes(Path("at-once")) == hashes(Path("out"))


def test_an_edit_that_comes_out_otherwise_is_asked_nothing_more_and_says_so(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    hashes: Callable[[Path], dict[str, str]],
) -> None:
    monkeypatch.chdir(tmp_path)
    main(asked("sports/forget"))
    before = hashes(Path("out"))
    real = FineTuning.edit

    def otherwise(method: FineTuning, model: Model, split: Any, where: Any, place: Any) -> Any:
        history = real(method, model, split, where, place)
        with torch.no_grad():
            model.parameters[min(where.tensors)].add_(1e-3)
        return history

    monkeypatch.setattr(FineTuning, "edit", otherwise)
    code = main(asked("sports/maintain"))

    assert code == 1
    assert "the edit came out as" in capsys.readouterr().err
    assert hashes(Path("out")) == before
