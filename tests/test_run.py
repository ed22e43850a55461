"""A run from the command line: the same twice, resumable anywhere, and honest about what failed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import unlearnbench
from unlearnbench.cli import main
from unlearnbench.editing import training
from unlearnbench.editing.finetuning import FineTuning
from unlearnbench.model.digest import weights_digest
from unlearnbench.model.model import Model
from unlearnbench.records import store
from unlearnbench.registry import methods

pytestmark = pytest.mark.end_to_end
REST = ["--tasks", "sports/forget,sports/maintain", "--method_args", "steps=2"]
QUICK = ["--facts", "sports:people-16", *REST]
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


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """`unlearnbench run` in an empty folder, with quick settings."""
    monkeypatch.chdir(tmp_path)

    def perform(*words: str, facts: str = "sports:people-16") -> int:
        return main(["run", *words, "--facts", facts, *REST])

    return perform


def hashes(folder: Path) -> dict[str, str]:
    """Result hashes below a results folder, by run identity."""
    return {one.spec.hash: one.identity.result_hash for _, one in store.records(folder)}


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


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the command that is killed gives when it is not."""
    output = tmp_path_factory.mktemp("undisturbed")
    assert main(["run", "--methods", "random_mlps,none", *QUICK, "-o", str(output)]) == 0
    assert len(hashes(output)) == 2
    return hashes(output)


@pytest.mark.parametrize("point", ["a training step", "the aggregation of a task", "sports.forget", "result.json"])
def test_a_run_killed_anywhere_is_resumed_by_the_same_command(
    point: str, tmp_path: Path, undisturbed: dict[str, str]
) -> None:
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
    assert hashes(tmp_path / "killed-run") == undisturbed


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
    run: Callable[..., int], capsys: pytest.CaptureFixture[str]
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


@pytest.fixture
def own_method(tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Writes a method called `own` into the folder `mine`; afterwards the registry knows it no longer."""
    folder = tmp_path / "mine"
    folder.mkdir()

    def write(body: str) -> None:
        head = (
            "from dataclasses import dataclass\n"
            "from unlearnbench import FineTuning, Localization, register\n"
            "@register('own')\n"
            "@dataclass(frozen=True, kw_only=True)\n"
            "class Own(FineTuning):\n"
        )
        (folder / "own.py").write_text(head + textwrap.indent(textwrap.dedent(body), "    "))

    with methods.remembered():
        yield write


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


HOOKED = """
    'Forgets a hook that silences an MLP.'
    def localize(self, model, split, place):
        import torch
        model.network.get_submodule(model.components['mlp.0'].path).register_forward_hook(lambda m, i, o: o * 0)
        return Localization.of(model, ['mlp.1'])
"""
BUFFERED = """
    'Changes a buffer.'
    def edit(self, model, split, where, place):
        next(iter(model.network.buffers())).mul_(0.5)
        return super().edit(model, split, where, place)
"""
REPLACED = """
    'Puts another head on the model.'
    def edit(self, model, split, where, place):
        import torch
        head = model.network.lm_head
        model.network.lm_head = torch.nn.Linear(head.in_features, head.out_features, bias=False)
        return super().edit(model, split, where, place)
"""
PATCHED = """
    'Replaces the forward pass of an MLP by another.'
    def edit(self, model, split, where, place):
        history = super().edit(model, split, where, place)
        mlp = model.network.get_submodule(model.components['mlp.0'].path)
        mlp.forward = lambda hidden: 0 * hidden
        return history
"""
GRADIENT = """
    'Leaves gradients while it localizes.'
    def localize(self, model, split, place):
        from unlearnbench.model.reading import answer_loss
        answer_loss(model, [(f.prompt, f.answer) for f in split.forget[:2]]).backward()
        return Localization.of(model, ['mlp.1'])
"""
MASKED = """
    'Forgets a hook on a tensor.'
    def localize(self, model, split, place):
        name = model.components['mlp.1'].parameters[0]
        model.parameters[name].register_hook(lambda gradient: 0 * gradient)
        return Localization.of(model, ['mlp.1'])
"""
SCALED = """
    'Scales the attention, which is no weight.'
    def edit(self, model, split, where, place):
        history = super().edit(model, split, where, place)
        model.network.get_submodule(model.components['attention.0'].path).scaling *= 0.5
        return history
"""
SILENT = """
    'Returns nothing.'
    def localize(self, model, split, place):
        pass
"""
ENDING = """
    'Ends the program.'
    def edit(self, model, split, where, place):
        import sys
        sys.exit(3)
"""


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        pytest.param(ESCAPING, "outside its localization", id="writes outside its localization"),
        pytest.param(CARELESS, "the model is not what it was before", id="leaves a change behind"),
        pytest.param(HOOKED, "another number of hooks", id="forgets a hook"),
        pytest.param(BUFFERED, "buffer", id="changes a buffer"),
        pytest.param(REPLACED, "'lm_head' (Linear) was replaced", id="replaces a module"),
        pytest.param(PATCHED, "another forward pass", id="replaces a forward pass"),
        pytest.param(GRADIENT, "gradient hooks", id="leaves gradients"),
        pytest.param(MASKED, "gradient hooks", id="forgets a hook on a tensor"),
        pytest.param(SCALED, "its answers are not", id="scales the attention"),
        pytest.param(SILENT, "localize() of own returned None", id="returns nothing"),
        pytest.param(ENDING, "sys.exit: 3", id="ends the program"),
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
    shown = capsys.readouterr().err
    run("--methods", "none", "-o", "alone")

    assert code == 1
    assert complaint in shown
    assert "own[steps=2] · sports:people-16 · seed 0: FAILED" in shown
    assert "Traceback" not in shown
    found = hashes(Path("out"))
    assert {key: found.get(key) for key in hashes(Path("alone"))} == hashes(Path("alone"))
    assert len(found) == 1, "what failed leaves no record"


@pytest.mark.parametrize("words", [["--debug", "run"], ["run", "--debug"]])
def test_with_debug_the_traceback_of_a_method_that_fails_is_shown(
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    own_method: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    own_method("'Fails.'\ndef localize(self, model, split, place):\n    raise RuntimeError('deep inside')\n")

    assert main([*words, "--include", "mine", "--methods", "own", *QUICK, "-o", "out"]) == 1

    shown = capsys.readouterr().err
    assert "Traceback" in shown
    assert "own.py" in shown


def test_a_method_that_leaves_a_hook_has_no_record_though_its_tasks_were_asked(
    run: Callable[..., int], own_method: Callable[..., None]
) -> None:
    own_method(HOOKED)

    assert run("--include", "mine", "--methods", "own", "-o", "out") == 1

    assert store.result_files(Path("out")) == []


def test_another_code_of_a_method_is_another_run_and_another_comment_is_not(
    run: Callable[..., int], own_method: Callable[..., None]
) -> None:
    source = "'Full fine-tuning by another name.'\n"
    counts = []

    for text in (source, source + "# a comment\n", "'Another sentence.'\n", source + "extra = 1\n"):
        own_method(text)
        assert run("--include", "mine", "--methods", "own", "-o", "out") == 0
        counts.append(len(hashes(Path("out"))))

    assert counts == [1, 1, 1, 2]


def test_a_damaged_item_log_is_not_taken_for_a_finished_run(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    run("--methods", "none", "-o", "out")
    clean = hashes(Path("out"))
    next(Path("out").rglob("*.jsonl.gz")).unlink()
    capsys.readouterr()

    assert run("--methods", "none", "-o", "out") == 0

    assert "0 of 1 runs are already" in capsys.readouterr().err
    assert hashes(Path("out")) == clean


def test_a_record_of_another_edit_in_a_runs_folder_is_not_taken_for_its_own(run: Callable[..., int]) -> None:
    run("--methods", "none", "--seeds", "0,1", "-o", "out")
    clean = hashes(Path("out"))
    first, second = (path.parent for path in store.result_files(Path("out")))
    shutil.rmtree(second)
    shutil.copytree(first, second)

    assert run("--methods", "none", "--seeds", "0,1", "-o", "out") == 0

    assert hashes(Path("out")) == clean


# -- more tasks of an edit that is there ---------------------------------------------------------------


def asked(tasks: str, *words: str) -> list[str]:
    """A quick command that asks these tasks of one edit."""
    facts = ["--facts", "sports:people-16", "--tasks", tasks]
    return ["run", *facts, "--methods", "random_mlps[steps=2]", "-o", "out", *words]


def test_one_more_task_is_added_and_what_is_there_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
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


def test_two_identical_commands_at_once_share_the_work(tmp_path: Path) -> None:
    words = ["run", "--methods", "none,all_mlps,random_mlps,full_finetune", "--seeds", "0,1", *QUICK, "-o", "out"]
    command = [sys.executable, "-m", "unlearnbench", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    both = [subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=environment) for _ in "ab"]
    said = [one.communicate(timeout=300)[1] for one in both]

    assert [one.returncode for one in both] == [0, 0]
    assert sum(text.count(": done (") for text in said) == 8, "every run was done once"
    assert len(hashes(tmp_path / "out")) == 8
    assert not (tmp_path / "out" / ".locks").exists()


# -- again ---------------------------------------------------------------------------------------------


def test_a_repeated_record_gives_the_same_hash(run: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    run("--methods", "random_mlps[objective=log1mp]", "-o", "out")
    ((folder, one),) = store.records(Path("out"))
    capsys.readouterr()

    assert main(["repeat", str(folder)]) == 0

    shown = capsys.readouterr().out
    assert shown.count(one.identity.result_hash) == 2
    assert "the same result" in shown


def test_a_repetition_that_comes_out_otherwise_names_the_first_item_that_differs(
    run: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run("--methods", "random_mlps", "-o", "out")
    ((folder, _),) = store.records(Path("out"))
    monkeypatch.setattr(training.Course, "rate", lambda course, step: 0.5 * course.learning_rate)
    capsys.readouterr()

    assert main(["repeat", str(folder)]) == 1

    assert "different: sports/forget: item 'sport:" in capsys.readouterr().out


def test_a_record_about_a_folder_is_repeated_when_it_is_said_where_the_folder_is(
    run: Callable[..., int], saved_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = ["--model", "hf", "--model_args", f"pretrained={saved_model}", "--retain_text", "world"]
    run(*model, "--methods", "none", "-o", "out", facts="sports:people-16[known=0]")
    ((folder, _),) = store.records(Path("out"))
    capsys.readouterr()

    assert main(["repeat", str(folder)]) == 2
    assert "--model_args pretrained=FOLDER" in capsys.readouterr().err
    assert main(["repeat", str(folder), "--model_args", f"pretrained={saved_model}"]) == 0


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


def test_interrupting_ends_with_130_and_says_how_to_resume(
    run: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("unlearnbench.running.runner.Runner.run", interrupted)

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
