"""Submissions: what was packed verifies, and nothing that a stranger may put into one gets past the reader."""

import gzip
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from unlearnbench.cli import main
from unlearnbench.hashing import bytes_hash
from unlearnbench.leaderboard.submissions import levels
from unlearnbench.leaderboard.submissions.levels import verified_of
from unlearnbench.leaderboard.submissions.names import unshown
from unlearnbench.records import store
from unlearnbench.records.recompute import by_subset, estimates, measure_of
from unlearnbench.records.record import MetricResult, Record, sealed, task_result_hash

NAME = "mine"
WHO = ["--submitter", "A. Nonymous", "--description", "Embeddings", "--trials", "0", "--tuned_on", "nothing"]
Change = Callable[[Path], object]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The untouched model and one that was edited, with its edited weights."""
    folder = tmp_path_factory.mktemp("runs")
    words = ["--methods", "none,embeddings[steps=3]", "--tasks", "sports/forget,sports/maintain", "--keep_edits"]
    assert main(["run", "--facts", "sports:people-64", *words, "--output_path", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def packed(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The submission as `pack` writes it."""
    above = tmp_path_factory.mktemp("packed")
    assert main(["submit", "pack", str(runs), "--name", NAME, *WHO, "--with_weights", "-o", str(above)]) == 0
    return above / NAME


@pytest.fixture
def submission(packed: Path, tmp_path: Path) -> Path:
    """A copy that may be spoilt."""
    return Path(shutil.copytree(packed, tmp_path / NAME))


def run_of(folder: Path, method: str = "embeddings") -> Path:
    """The folder of a method's run."""
    return next(path.parent for path in folder.rglob("result.json") if path.parent.parent.name == method)


def log_of(folder: Path, task: str = "sports.forget", method: str = "embeddings") -> Path:
    """An item log of it."""
    return next(run_of(folder, method).glob(f"{task}-*.jsonl.gz"))


def listed(folder: Path) -> None:
    """The manifest lists what is there, as somebody would have it who packs by hand."""
    path = folder / "submission.json"
    manifest = json.loads(path.read_text())
    files = [
        one for one in sorted(folder.rglob("*")) if one.is_file() and not one.is_symlink() and one.parent != folder
    ]
    manifest["files"] = [
        {"path": p.relative_to(folder).as_posix(), "sha256": bytes_hash(p.read_bytes()), "size": p.stat().st_size}
        for p in files
    ]
    path.write_text(json.dumps(manifest))


def edited(change: Callable[[bytes], bytes], name: str = "result.json") -> Change:
    """The bytes of a file are changed, and it is listed as it then is."""

    def spoil(folder: Path) -> None:
        path = folder / name if name == "submission.json" else run_of(folder) / name
        path.write_bytes(change(path.read_bytes()))
        if name != "submission.json":
            listed(folder)

    return spoil


def forged(change: Callable[[dict[str, Any]], None], *, move: bool = True) -> Change:
    """The record is changed, all hashes are made anew, and it is put where it then belongs."""

    def spoil(folder: Path) -> None:
        path = run_of(folder)
        document = json.loads((path / "result.json").read_text())
        change(document)
        record = Record.model_validate_json(json.dumps(document))
        tasks = [one.model_copy(update={"spec_hash": one.spec.hash}) for one in record.tasks]
        tasks = [
            one.model_copy(
                update={"result_hash": task_result_hash(record.spec.hash, one.spec_hash, one.metrics, one.samples)}
            )
            for one in tasks
        ]
        record = sealed(record.model_copy(update={"tasks": tasks}))
        (path / "result.json").write_text(json.dumps(record.model_dump(mode="json")))
        target = folder / record.spec.path
        if move and target != path:
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)
        listed(folder)

    return spoil


def other_log(folder: Path, change: Callable[[bytes], bytes]) -> tuple[str, bytes]:
    """Change an item log: its name, and what is in it now."""
    path = log_of(folder)
    log = change(gzip.decompress(path.read_bytes()))
    path.write_bytes(gzip.compress(log))
    return path.name, log


def relogged(change: Callable[[bytes], bytes], *, honest: bool = True) -> Change:
    """An item log is changed, and the record describes it as it then is (its numbers are what they were)."""

    def spoil(folder: Path) -> None:
        name, log = other_log(folder, change)

        def described(document: dict[str, Any]) -> None:
            for one in document["tasks"]:
                if one["samples"]["path"] == name:
                    one["samples"] |= store.described_log("x", log).model_dump() | {"path": name}

        if honest:
            forged(described)(folder)
        listed(folder)

    return spoil


def manifest(**fields: Any) -> Change:
    """The manifest says something else."""

    def spoil(folder: Path) -> None:
        path = folder / "submission.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))

    return spoil


def first_value(document: dict[str, Any]) -> dict[str, Any]:
    """The first metric of the record."""
    found: dict[str, Any] = document["tasks"][0]["metrics"][0]
    return found


def link(folder: Path) -> None:
    """A record that is a link to something else."""
    path = run_of(folder) / "result.json"
    path.unlink()
    path.symlink_to("/etc/hostname")


def linked_folder(folder: Path) -> None:
    """A whole run elsewhere."""
    (folder / "elsewhere").symlink_to("/etc")


def named(name: str) -> Change:
    """A file of this name beside the record."""
    return lambda folder: (run_of(folder) / name).write_text("{}")


def deep(folder: Path) -> None:
    """Folders in folders."""
    path = folder.joinpath(*"abcdefghij")
    path.mkdir(parents=True)


def sparse(folder: Path) -> None:
    """A record that would fill the memory."""
    os.truncate(run_of(folder) / "result.json", 5 * 2**20)


def bomb(folder: Path) -> None:
    """A log of 64 MiB in 64 KiB, told as what it is."""
    path = log_of(folder)
    path.write_bytes(gzip.compress(b"\n" * 2**26))

    def told(document: dict[str, Any]) -> None:
        for one in document["tasks"]:
            if one["samples"]["path"] == path.name:
                one["samples"]["bytes_uncompressed"] = 2**26

    forged(told)(folder)


def hidden_bomb(folder: Path) -> None:
    """The same, told as a small one."""
    log_of(folder).write_bytes(gzip.compress(b"\n" * 2**26))
    listed(folder)


def foreign_code(task: dict[str, Any]) -> None:
    """A question that was asked by something else."""
    task["source_sha256"] = "sha256:" + "0" * 64


def own_reference(folder: Path) -> None:
    """An untouched model of one's own, which everything would be read against."""
    other = run_of(folder)
    shutil.rmtree(other)
    base = run_of(folder, "none")
    document = json.loads((base / "result.json").read_text())
    document["spec"]["method"]["source_sha256"] = "sha256:" + "0" * 64
    base.rename(other)
    (other / "result.json").write_text(json.dumps(document))
    forged(lambda _: None)(folder)


def retold(change: Callable[[bytes], bytes], metric: Callable[[dict[str, Any]], object] = lambda _: None) -> Change:
    """An item log is changed, and every number of the record follows from it, as somebody would have it who can."""

    def spoil(folder: Path) -> None:
        name, log = other_log(folder, change)

        def told(document: dict[str, Any]) -> None:
            for task in document["tasks"]:
                if task["samples"]["path"] == name:
                    task["samples"] = store.described_log("x", log).model_dump() | {"path": name}
                    metric(task["metrics"][0])
                    recomputed(task["metrics"], [json.loads(line) for line in log.splitlines()])

        forged(told)(folder)

    return spoil


own_metric = retold(lambda log: log, lambda metric: metric.update(sample_field="edit_accuracy"))
"""The edit target's share is told as the truth's."""


def recomputed(metrics: list[dict[str, Any]], rows: list[dict[str, Any]]) -> None:
    """Metrics say what follows from these rows."""
    for metric in metrics:
        result = MetricResult.model_validate_json(json.dumps(metric))
        found = estimates(by_subset(rows), measure_of(result))[tuple(metric["at"].values())]
        metric |= found._asdict() | {"n_clusters": found.clusters}
        del metric["clusters"]


def of_rows(change: Callable[[dict[str, Any]], object]) -> Callable[[bytes], bytes]:
    """Every row of a log is changed."""

    def changed(log: bytes) -> bytes:
        rows = [json.loads(line) for line in log.splitlines()]
        for row in rows:
            change(row)
        return store.item_log(rows)

    return changed


def sized(size: int) -> Callable[[dict[str, Any]], None]:
    """The record says so of its first log."""
    return lambda document: document["tasks"][0]["samples"].update(bytes_uncompressed=size)


def many_keys(count: int) -> bytes:
    """An object with so many keys, the last of which is the first."""
    keys = [f'"k{number}":0' for number in range(count)]
    return ("{" + ",".join([*keys, keys[0]]) + "}").encode()


def rewritten(change: Callable[[bytes], bytes]) -> Change:
    """The bytes of an item log are changed, and it is listed as it then is."""

    def spoil(folder: Path) -> None:
        path = log_of(folder)
        path.write_bytes(change(path.read_bytes()))
        listed(folder)

    return spoil


def replaced(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """The first of these bytes are others."""

    def change(data: bytes) -> bytes:
        assert old in data
        return data.replace(old, new, 1)

    return change


def remove_log(folder: Path) -> None:
    """A log that the record names is gone, from the list too."""
    log_of(folder).unlink()
    listed(folder)


def stray_log(folder: Path) -> None:
    """A log that no record names."""
    shutil.copy(log_of(folder), run_of(folder) / "more.jsonl.gz")
    listed(folder)


def stray_weights(folder: Path) -> None:
    """Weights of no run."""
    (folder / "weights").mkdir()
    shutil.copy(run_of(folder) / "edit.safetensors", folder / "weights" / "edit.safetensors")
    listed(folder)


def moved(folder: Path) -> None:
    """A run in another run's place."""
    run_of(folder).rename(folder / "seed-0")
    listed(folder)


def capitals(folder: Path) -> None:
    """Two files that are one where capitals do not count."""
    path = log_of(folder)
    shutil.copy(path, path.with_name(path.name.replace("sports", "Sports")))


LONG = "x" * 5000
NESTED = b'{"a":' * 40 + b"1" + b"}" * 40
HOSTILE: dict[str, tuple[Change, str]] = {
    "a link": (link, "symbolic link"),
    "a linked folder": (linked_folder, "elsewhere: a symbolic link"),
    "code": (named("method.py"), "method.py: not a file of a submission"),
    "a pickle": (named("edit.pt"), "edit.pt: not a file of a submission"),
    "a hidden file": (named(".gitattributes"), ".gitattributes: not a name of"),
    "a name that is read backwards": (named("a\u202egpj.json"), "\\u202e"),
    "a pipe": (lambda f: os.mkfifo(run_of(f) / "more.jsonl.gz"), "neither a file nor a folder"),
    "a huge record": (sparse, "5,242,880 bytes"),
    "a huge log": (lambda f: os.truncate(log_of(f), 33 * 2**20), "is the most"),
    "deep folders": (deep, "more than 8 deep"),
    "capitals": (capitals, "where capitals do not count"),
    "no manifest": (lambda f: (f / "submission.json").unlink(), "there is no submission.json"),
    "an unknown field": (manifest(rank=1), "submission.json: rank: Extra inputs"),
    "another name": (manifest(name="other"), "it is named 'other'"),
    "a script as an address": (manifest(method_url="javascript:alert(1)"), "submission.json: method_url"),
    "a plain address": (manifest(weights_url="http://example.org/w"), "submission.json: weights_url"),
    "a submitter that is read backwards": (manifest(submitter="A\u202eB"), "$.submitter: the character U+202E"),
    "a long name": (manifest(submitter=LONG), "5,000 characters"),
    "traversal in the list": (
        manifest(files=[{"path": "../../etc/passwd", "sha256": "sha256:" + "0" * 64, "size": 1}]),
        "listed in submission.json",
    ),
    "a key of the manifest twice": (
        edited(replaced(b"{", b'{"name":"a",'), "submission.json"),
        "'name' is there twice",
    ),
    "a file that is not the listed one": (
        lambda f: log_of(f).write_bytes(gzip.compress(b"{}\n")),
        "not the file that submission.json lists",
    ),
    "no number": (edited(replaced(b'"n": 64', b'"n": NaN')), "NaN is no number"),
    "infinity": (edited(replaced(b'"n": 64', b'"n": 1e999')), "1e999 is too large"),
    "a huge whole number": (edited(replaced(b'"n": 64', b'"n": 9007199254740993')), "2**53 or more"),
    "digits without end": (edited(replaced(b'"n": 64', b'"n": ' + b"9" * 5000)), "2**53 or more"),
    "a text for a number": (edited(replaced(b'"n": 64', b'"n": "64"')), "tasks.0.metrics.0.n"),
    "a key twice": (edited(replaced(b"{", b'{"label":"oracle",')), "'label' is there twice"),
    "nested without end": (edited(lambda _: NESTED * 1), "nested more than 32"),
    "nested for a parser that recurses": (edited(lambda _: b"[" * 200_000), "nested more than 32"),
    "a byte order mark": (edited(lambda data: b"\xef\xbb\xbf" + data), "byte order mark"),
    "not UTF-8": (edited(replaced(b'"label": "', b'"label": "\xff')), "is not UTF-8"),
    "cut off": (edited(lambda data: data[: len(data) // 2]), "it is not JSON"),
    "a control character": (edited(replaced(b'"label": "', b'"label": "\\u0007')), "$.label: the character U+0007"),
    "half a character": (edited(replaced(b'"label": "', b'"label": "\\ud800')), "the character U+D800"),
    "a number whose sum overflows": (
        forged(lambda document: document["sessions"][0]["resources"]["stages_s"].update(edit=1e308)),
        "a number beyond 1e+100",
    ),
    "a share whose sum overflows": (
        forged(lambda document: document["localization"].update(share_of_blocks=1e308)),
        "a number beyond 1e+100",
    ),
    "a warning with an address": (
        forged(lambda document: document["warnings"].append("buy at https://example.org")),
        "a warning, or the reason why it is invalid, that no release writes",
    ),
    "warnings without end": (
        forged(lambda document: document.update(warnings=["x"] * 99)),
        "a warning, or the reason why it is invalid, that no release writes",
    ),
    "an edited digit": (edited(replaced(b'"n": 64', b'"n": 65')), "it was changed after it was written"),
    "an edited digit, hashed anew": (
        forged(lambda document: first_value(document).update(value=0.5)),
        "sports/forget accuracy in result.json does not follow from it",
    ),
    "a schema of the future": (edited(replaced(b'"schema_version": "3', b'"schema_version": "9')), "this release"),
    "traversal in a name": (
        forged(lambda document: document["spec"]["method"].update(name="../../../../out"), move=False),
        "its folder should be",
    ),
    "another folder": (moved, "its folder should be"),
    "a log elsewhere": (
        edited(replaced(b'"path": "sports.forget', b'"path": "../sports.forget')),
        "tasks.0.samples.path",
    ),
    "a missing log": (remove_log, "it is missing"),
    "a log of no task": (stray_log, "no task names it"),
    "weights of no run": (stray_weights, "in the folder of no run"),
    "a bomb": (bomb, "it is not opened"),
    "a bomb that is told as a small log": (hidden_bomb, "does not hold exactly"),
    "a second stream": (
        rewritten(lambda data: data + gzip.compress(b"{}\n")),
        "does not hold exactly",
    ),
    "no gzip": (
        rewritten(lambda _: b"{}\n" * 5000),
        "it is not gzip",
    ),
    "an edited log": (relogged(replaced(b'"accuracy":1', b'"accuracy":0'), honest=False), "not the item log"),
    "an edited log, hashed anew": (relogged(replaced(b'"accuracy":1', b'"accuracy":0')), "its choice is the likeliest"),
    "no number in a log": (relogged(replaced(b'"accuracy":1.0', b'"accuracy":NaN')), "line 1: NaN is no number"),
    "a key of a log twice": (relogged(replaced(b"{", b'{"subset":"x",')), "line 1: the key 'subset' is there twice"),
    "a log of lists": (relogged(lambda _: b"[]\n"), "line 1: it is no object"),
    "code of one's own for a task": (
        forged(lambda document: foreign_code(document["tasks"][0]["spec"])),
        "was asked by other code than ours",
    ),
    "a task of one's own": (
        forged(lambda document: document["tasks"][0]["spec"].update(name="sports/easy")),
        "there is no task 'sports/easy'",
    ),
    "another version of the scores": (
        forged(lambda document: document["spec"].update(scores_version=1)),
        "its scores are of version 1",
    ),
    "a metric of one's own": (own_metric, "has a metric 'accuracy' that is not defined as `none`'s"),
    "another split": (
        forged(lambda document: document["tasks"][0]["spec"].update(items_sha256="sha256:" + "0" * 64)),
        "is asked of another split",
    ),
    "rows that are there twice": (retold(lambda log: log + log), "asks other items than `none`"),
    "a choice that is none": (relogged(of_rows(lambda row: row.update(gold=99))), "gold is none of the choices"),
    "a subject that is a number": (relogged(of_rows(lambda row: row.update(cluster=7))), "have to be texts"),
    "no choices": (relogged(of_rows(lambda row: row.update(choices=[]))), "choices have to be a list"),
    "a likelihood above one": (relogged(of_rows(lambda row: row.update(logprobs=[1.0] * 5))), "p_true is"),
    "values that are none": (relogged(of_rows(lambda row: row.update(values={"accuracy": "1"}))), "have to be numbers"),
    "a size below nothing": (forged(sized(-1)), "less than nothing"),
    "no session": (forged(lambda document: document.update(sessions=[])), "there is no session"),
    "another's name": (forged(lambda document: document.update(label="oracle")), "is not that of embeddings"),
    "a name that is a link": (
        forged(lambda document: document.update(label="embeddings[https://example.org]")),
        "is no name that a board shows",
    ),
    "a string without end": (edited(lambda _: b'{"a":"' + b'\\"' * 500_000), "it is not JSON"),
    "thousands of keys": (edited(lambda _: many_keys(50_000)), "is there twice"),
    "superseding what is not there": (manifest(supersedes=["another"]), "supersedes 'another', which is not beside it"),
    "a reference of one's own": (own_reference, "its 'none' is of other code than ours"),
}


def test_what_was_packed_verifies(packed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the same command as a maintainer's; and it holds no path of this machine."""
    assert main(["submit", "verify", str(packed)]) == 0
    assert "2 runs, recomputed" in capsys.readouterr().out
    assert str(packed.parent) not in (packed / "submission.json").read_text()
    assert sorted(path.name for path in packed.parent.iterdir()) == [NAME]


def test_it_is_checked_without_torch(packed: Path) -> None:
    """And without anything else that takes minutes to install: the workflow of pull requests has nothing of it."""
    blocked = ("torch", "transformers", "datasets", "peft", "lm_eval", "sklearn", "tokenizers", "accelerate")
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({blocked!r}))\n"
        "from unlearnbench.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    words = ["submit", "verify", str(packed)]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, cwd=packed.parent)
    assert (done.returncode, done.stdout) == (0, f"{packed}: 2 runs, recomputed\n"), done.stderr


@pytest.mark.parametrize("what", HOSTILE)
def test_a_stranger_does_not_get_in_with(what: str, submission: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line says file, place and reason, and the exit code is 4."""
    change, said = HOSTILE[what]
    change(submission)
    before = {path: path.lstat().st_mtime_ns for path in submission.rglob("*")}
    assert main(["submit", "verify", str(submission), "--badge"]) == 4
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
    assert {path: path.lstat().st_mtime_ns for path in submission.rglob("*")} == before, "nothing was written"


def test_items_cannot_be_left_out(submission: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Even where every number follows from what is left."""
    retold(lambda log: b"".join(log.splitlines(keepends=True)[1:]))(submission)
    assert main(["submit", "verify", str(submission)]) == 4
    assert "sports/forget asks other items than `none` was asked" in capsys.readouterr().err


def test_edited_weights_answer_as_the_record_says(submission: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And a badge says how far it was checked; weights of another edit are refused."""
    assert main(["submit", "verify", str(submission), "--level", "replayed", "--badge"]) == 0
    assert "2 runs, replayed" in capsys.readouterr().out
    assert set(verified_of(submission).runs.values()) == {"replayed"}
    path = run_of(submission) / "edit.safetensors"
    data = bytearray(path.read_bytes())
    data[-2] ^= 1
    path.write_bytes(data)
    listed(submission)
    assert main(["submit", "verify", str(submission), "--level", "replayed"]) == 4
    assert "does not make the model of the record" in capsys.readouterr().err


def test_a_label_that_means_another_method_is_found(submission: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says other settings than were used, and every number follows from the item logs."""
    forged(lambda document: document.update(label=f"{document['spec']['method']['name']}[steps=77]"))(submission)
    assert main(["submit", "verify", str(submission)]) == 0
    assert main(["submit", "verify", str(submission), "--level", "replayed"]) == 4
    assert "[steps=77]' means another method, or other settings" in capsys.readouterr().err


def test_a_forged_item_log_is_found_by_asking_the_weights(submission: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All numbers follow from it, and the model does not say them."""

    def invented(log: bytes) -> bytes:
        rows = [json.loads(line) for line in log.splitlines()]
        other = next(i for i in range(5) if i not in (rows[0]["gold"], rows[0]["target"]))
        rows[0]["logprobs"][other] = -99.0
        return store.item_log(rows)

    relogged(invented)(submission)
    assert main(["submit", "verify", str(submission)]) == 0
    assert main(["submit", "verify", str(submission), "--level", "replayed"]) == 4
    assert "a log-probability was -99.0" in capsys.readouterr().err


def test_without_weights_there_is_nothing_to_replay(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They may lie elsewhere, in folders of the same names."""
    assert main(["submit", "pack", str(runs), "--name", "light", *WHO, "-o", str(tmp_path)]) == 0
    light = tmp_path / "light"
    assert main(["submit", "verify", str(light), "--level", "replayed"]) == 5
    assert "--weights FOLDER" in capsys.readouterr().err
    assert main(["submit", "verify", str(light), "--level", "replayed", "--weights", str(runs)]) == 0


def test_a_run_that_is_repeated_has_its_result_hash(submission: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Drawn by words that the submitter did not know; the badge is the lowest of all runs."""
    words = ["submit", "verify", str(submission), "--level", "reproduced", "--runs", "1", "--nonce", "tea"]
    assert main([*words, "--badge"]) == 0
    assert "[1/1]" in capsys.readouterr().err
    assert sorted(verified_of(submission).runs.values()) == ["recomputed", "reproduced"]


def test_a_second_look_does_not_lower_a_badge(submission: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of runs that were not drawn this time, and of those that were looked at less closely; other files begin anew."""
    words = ["submit", "verify", str(submission), "--badge"]
    first, second = (store.load(path).identity.record_hash for path in store.result_files(submission))
    levels.write(submission, {first: "reproduced"}, ("older",), "2026-01-01")
    assert main(words) == 0
    assert verified_of(submission).runs == {first: "reproduced", second: "recomputed"}
    assert verified_of(submission).supersedes == ("older",)
    manifest(description="Something else")(submission)
    assert main(words) == 0
    assert verified_of(submission).runs == {first: "recomputed", second: "recomputed"}


def test_nothing_is_packed_that_would_not_verify(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither a name that no folder can have, nor a record that was changed, nor over what is there."""
    out = tmp_path / "out"
    assert main(["submit", "pack", str(runs), "--name", "../up", *WHO, "-o", str(out)]) == 4
    assert "--name '../up'" in capsys.readouterr().err
    copy = Path(shutil.copytree(runs, tmp_path / "copy"))
    path = run_of(copy) / "result.json"
    path.write_bytes(path.read_bytes().replace(b'"n": 64', b'"n": 65', 1))
    assert main(["submit", "pack", str(copy), "--name", NAME, *WHO, "-o", str(out)]) == 1
    assert main(["submit", "pack", str(tmp_path / "nowhere"), "--name", NAME, *WHO, "-o", str(out)]) == 2
    assert not out.exists() or not list(out.iterdir())
    (out / NAME).mkdir(parents=True)
    assert main(["submit", "pack", str(runs), "--name", NAME, *WHO, "-o", str(out)]) == 2
    assert "only ever added" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ("A\0results/submissions/mine/submission.json\0A\0results/submissions/mine/a/result.json\0", ""),
        ("M\0results/submissions/mine/submission.json\0", "only ever added"),
        ("D\0results/submissions/old/submission.json\0", "only ever added"),
        ("R100\0results/submissions/a/x\0results/submissions/b/x\0", "only ever added"),
        ("A\0results/submissions/mine/a\0A\0methods/mine.py\0", "methods/mine.py: not in a folder"),
        ("A\0results/submissions/mine/a\0A\0.github/workflows/x.yml\0", "not in a folder"),
        ("A\0results/submissions/mine/a\0A\0results/submissions/yours/a\0", "2 submissions in one"),
        ("A\0results/submissions/mine/verified.json\0", "the maintainers say"),
        ("", "0 submissions"),
    ],
)
def test_a_pull_request_adds_one_submission(
    changes: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And changes nothing else."""
    (tmp_path / "changes").write_text(changes)
    code = main(["submit", "changes", str(tmp_path / "changes")])
    told = capsys.readouterr()
    assert (code, told.out) == ((0, "mine\n") if not said else (4, ""))
    assert said in told.err


def test_nothing_that_a_release_writes_is_refused_for_what_it_says() -> None:
    """All runs of the board could be submitted: their names, numbers, warnings and reasons."""
    board = Path(__file__).parents[1] / "results" / "core-v1"
    records = [Record.model_validate_json(path.read_bytes()) for path in store.result_files(board)]
    assert len(records) >= 200
    assert {unshown(one) for one in records} == {None}
