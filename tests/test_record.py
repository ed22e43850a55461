"""A record shows any later change, is complete when it is there, and is recomputable from its item log."""

import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from unlearnbench.asking.row import Row
from unlearnbench.errors import TamperedRecord, UsageError
from unlearnbench.model.source import ModelSource
from unlearnbench.records import record as records
from unlearnbench.records import store
from unlearnbench.records.estimate import mean_over_clusters
from unlearnbench.records.record import MetricResult, Record, sealed, task_result_hash
from unlearnbench.records.store import RESULT
from unlearnbench.running.ask import results
from unlearnbench.running.plan import plan
from unlearnbench.running.words import parse_facts, parse_method

TASK = "sports/forget"
Saved = tuple[Record, dict[str, bytes]]
"""A record, and its item logs by file name."""
SOURCE = ModelSource(
    kind="organism",
    name="tiny",
    weights_sha256="sha256:" + "0" * 64,
    config_sha256="sha256:c",
    tokenizer_sha256="sha256:t",
    layout="inline",
    learning_rate=1e-3,
    retain_text="world",
)


def item_rows() -> list[Row]:
    """Rows of nine subjects, some with several items, some without an edit target."""
    rng = random.Random(3)
    found = []
    for subject in range(9):
        for item in range(1 + subject % 3):
            values = {name: rng.random() / 3 for name in ("accuracy", "p_true", "valid", "tie")}
            if subject % 2:
                values |= {"edit_accuracy": rng.random(), "p_edit": rng.random() * 1e-9}
                values["true_beats_others"] = rng.random()
            found.append(
                Row(
                    item=f"sport:{subject}#{item}",
                    cluster=f"subject {subject}",
                    subset="forget",
                    prompt_sha256="sha256:" + "1" * 64,
                    choices=("golf", "tennis"),
                    gold=0,
                    logprobs=(-0.1, -2.5),
                    values=values,
                )
            )
    return found


@pytest.fixture
def run() -> Saved:
    """A record as the runner seals it, and its item log by file name; no model is loaded."""
    facts = parse_facts("sports")
    cell = plan(
        methods=[parse_method("none", {})], facts=[facts], tasks=[TASK], seeds=[0], source=SOURCE, batch_size=64
    )[0]
    (ask,) = cell.tasks
    log = store.item_log(row.as_line() for row in item_rows())
    samples = store.described_log(ask.spec.slug, log)
    metrics = results(TASK, ask.task, ask.task.metrics(cell.split), item_rows())
    task = records.TaskResult(
        spec=ask.spec,
        spec_hash=ask.spec.hash,
        result_hash=task_result_hash(cell.spec.hash, ask.spec.hash, metrics, samples),
        session=0,
        metrics=metrics,
        samples=samples,
    )
    draft = Record(
        status="completed",
        invalid_reason=None,
        label=cell.method_label,
        spec=cell.spec,
        identity=records.Identity(edit_hash="", result_hash="", record_hash=""),
        tasks=[task],
        retain=records.RetainResult(loss_before=2.5, loss_after=None, kl=None),
        localization=records.LocalizationResult(
            components=["mlp.1"],
            scores={"mlp.1": 0.5, "mlp.0": 1e-7},
            tensors=["blocks.1.weight"],
            parameters=128,
            share_of_blocks=0.25,
            change_by_component={"mlp.1": 0.125},
            change_inside=0.125,
            change_outside=0.0,
        ),
        weights=records.WeightsResult(base_sha256="sha256:a", edited_sha256="sha256:b", parameters=512),
        history=[{"step": 1, "forget": 0.3, "learning_rate": 1e-3}],
        seeds={"run": 0},
        sessions=[
            records.Session(
                created_at="2026-01-01T00:00:00Z",
                benchmark_version="0",
                resources=records.Resources(
                    stages_s={"edit": 1.5}, peak_rss_bytes=1, peak_vram_bytes=None, flops_estimate=1e9
                ),
                environment={},
                git=None,
            )
        ],
    )
    return sealed(draft), {samples.path: log}


def only(folder: Path) -> Path:
    """The one item log in a folder."""
    (path,) = folder.glob("*.jsonl.gz")
    return path


def edit_result(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change `result.json` by hand, as somebody with an editor would."""
    document = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    change(document)
    (folder / RESULT).write_text(json.dumps(document), encoding="utf-8")


def other_metric_value(document: dict[str, Any]) -> None:
    """A better result than was measured."""
    document["tasks"][0]["metrics"][0]["value"] += 1e-12


def other_seed(document: dict[str, Any]) -> None:
    """Another question than was asked."""
    document["spec"]["seed"] = 1


def other_cost(document: dict[str, Any]) -> None:
    """A number that is neither asked nor measured."""
    document["sessions"][0]["resources"]["flops_estimate"] = 1.0


def test_a_record_and_its_hashes_survive_saving_and_loading(run: Saved, tmp_path: Path) -> None:
    record, log = run

    store.save(record, log, tmp_path / "run")
    loaded = store.load(tmp_path / "run")

    assert loaded == record
    assert loaded.problems() == []
    assert loaded.identity.edit_hash == record.spec.hash


def test_a_record_can_be_loaded_by_its_file_as_well_as_by_its_folder(run: Saved, tmp_path: Path) -> None:
    path = store.save(*run, tmp_path)

    assert store.load(path) == store.load(tmp_path)
    assert store.records(tmp_path) == [(tmp_path, run[0])]


@pytest.mark.parametrize(
    ("change", "named", "not_named"),
    [
        (other_metric_value, ["result_hash", "record_hash"], ["edit_hash"]),
        (other_seed, ["edit_hash", "result_hash", "record_hash"], []),
        (other_cost, ["record_hash"], ["edit_hash", "result_hash"]),
    ],
)
def test_an_edited_number_is_refused_with_the_hashes_that_do_not_match(
    run: Saved,
    tmp_path: Path,
    change: Callable[[dict[str, Any]], None],
    named: list[str],
    not_named: list[str],
) -> None:
    store.save(*run, tmp_path)
    edit_result(tmp_path, change)

    with pytest.raises(TamperedRecord) as refused:
        store.load(tmp_path)

    assert [name for name in named if name not in str(refused.value)] == []
    assert [name for name in not_named if name in str(refused.value)] == []
    assert refused.value.exit_code == 1


def test_writing_the_same_document_differently_is_no_change(run: Saved, tmp_path: Path) -> None:
    store.save(*run, tmp_path)

    edit_result(tmp_path, lambda document: document.update(dict(reversed(list(document.items())))))

    assert store.load(tmp_path) == run[0]


def test_the_item_log_is_read_back_row_by_row(run: Saved, tmp_path: Path) -> None:
    record, log = run

    store.save(record, log, tmp_path)
    rows = store.load_rows(tmp_path, record.tasks[0].samples)

    expected = [row.as_line() for row in item_rows()]
    assert list(rows) == json.loads(json.dumps(expected))
    assert record.tasks[0].samples.n == len(expected)
    assert record.tasks[0].samples.bytes_uncompressed == len(log[only(tmp_path).name])


@pytest.mark.parametrize(
    "forge",
    [
        pytest.param(lambda log: gzip.compress(log.replace(b'"gold":0', b'"gold":1', 1)), id="one number"),
        pytest.param(lambda log: gzip.compress(log[: log.rindex(b"\n", 0, -1) + 1]), id="last row gone"),
        pytest.param(lambda log: gzip.compress(b"".join(reversed(log.splitlines(True)))), id="other order"),
        pytest.param(lambda log: gzip.compress(log)[:-20], id="cut off"),
        pytest.param(lambda _: b"not gzip at all", id="other bytes"),
        pytest.param(lambda _: gzip.compress(b"\xff\xfe"), id="no text"),
        pytest.param(lambda _: None, id="file gone"),
    ],
)
def test_an_altered_item_log_is_refused(run: Saved, tmp_path: Path, forge: Callable[[bytes], bytes | None]) -> None:
    record, log = run
    store.save(record, log, tmp_path)
    path = only(tmp_path)
    forged = forge(log[path.name])
    path.unlink()
    if forged is not None:
        path.write_bytes(forged)

    with pytest.raises(TamperedRecord, match="item log"):
        store.load_rows(tmp_path, record.tasks[0].samples)


def test_an_item_log_that_was_only_compressed_again_is_accepted(run: Saved, tmp_path: Path) -> None:
    record, log = run
    store.save(record, log, tmp_path)

    path = only(tmp_path)
    path.write_bytes(gzip.compress(log[path.name], compresslevel=1, mtime=7))

    assert len(store.load_rows(tmp_path, record.tasks[0].samples)) == record.tasks[0].samples.n


def test_the_item_log_is_written_first_and_the_result_last(
    run: Saved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    put = Path.replace

    def noting(path: Path, target: Path) -> Path:
        written.append(Path(target).name)
        return put(path, target)

    monkeypatch.setattr(Path, "replace", noting)
    store.save(*run, tmp_path)

    assert written == [only(tmp_path).name, RESULT]


def test_nothing_but_the_two_files_is_left_by_a_save(run: Saved, tmp_path: Path) -> None:
    store.save(*run, tmp_path)
    store.save(*run, tmp_path)

    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([RESULT, *run[1]])


def test_a_run_whose_item_log_cannot_be_written_is_not_there(
    run: Saved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        store.save(*run, tmp_path)

    assert not (tmp_path / RESULT).exists()
    assert not list(tmp_path.glob("*.gz"))
    assert store.records(tmp_path) == []


@pytest.mark.parametrize(
    "update",
    [
        {"label": "another name"},
        {"sessions": []},
        {"history": []},
        {"warnings": ["it rained"]},
    ],
)
def test_the_result_hash_ignores_when_where_and_under_which_name(run: Saved, update: dict[str, Any]) -> None:
    changed = run[0].model_copy(update=update)

    assert changed.problems() == ["record_hash"]


def with_task(record: Record, **changes: Any) -> Record:
    """The record with its task changed, and nothing sealed again."""
    return record.model_copy(update={"tasks": [record.tasks[0].model_copy(update=changes)]})


@pytest.mark.parametrize("field", ["value", "stderr", "n", "n_clusters", "chance"])
def test_the_result_hash_changes_with_every_number_of_a_metric(run: Saved, field: str) -> None:
    first, *others = run[0].tasks[0].metrics
    other = first.model_copy(update={field: getattr(first, field) + 1})

    changed = with_task(run[0], metrics=[other, *others])

    assert changed.problems() == [f"result_hash of {TASK}", "record_hash"]


def test_the_result_hash_changes_with_the_item_log(run: Saved) -> None:
    record, logs = run
    ((name, log),) = logs.items()

    changed = with_task(record, samples=store.described_log(name, log + log).model_copy(update={"path": name}))

    assert changed.problems() == [f"result_hash of {TASK}", "record_hash"]


def test_the_hash_of_the_whole_result_does_not_depend_on_the_order_in_which_tasks_were_asked() -> None:
    assert records.result_hash("edit", ["a", "b"]) == records.result_hash("edit", ["b", "a"])
    assert records.result_hash("edit", ["a", "b"]) != records.result_hash("edit", ["a"])
    assert records.result_hash("edit", ["a"]) != records.result_hash("other", ["a"])


def test_a_metric_that_does_not_follow_from_its_item_log_is_refused_though_every_hash_matches(
    run: Saved, tmp_path: Path
) -> None:
    record, logs = run
    first, *others = record.tasks[0].metrics
    metrics = [first.model_copy(update={"value": first.value + 0.1}), *others]
    task = record.tasks[0]
    forged = task_result_hash(record.spec.hash, task.spec_hash, metrics, task.samples)
    store.save(sealed(with_task(record, metrics=metrics, result_hash=forged)), logs, tmp_path)

    assert store.load(tmp_path).problems() == []
    with pytest.raises(TamperedRecord, match="accuracy does not follow from its item log"):
        store.load_recomputed(tmp_path)


@pytest.mark.parametrize("field", ["value", "stderr", "chance"])
@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_not_finite_is_refused_by_the_schema(run: Saved, field: str, number: float) -> None:
    good = run[0].tasks[0].metrics[0].model_dump()
    assert MetricResult(**good) == run[0].tasks[0].metrics[0]

    with pytest.raises(ValidationError, match="finite"):
        MetricResult(**{**good, field: number})


def test_nan_in_a_file_is_refused_by_the_name_of_its_field(run: Saved, tmp_path: Path) -> None:
    store.save(*run, tmp_path)
    edit_result(tmp_path, lambda document: document["history"][0].update(forget=float("nan")))

    with pytest.raises(UsageError, match=r"history\.0\.forget"):
        store.load(tmp_path)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda document: document.update(surprise=1), "surprise"),
        (lambda document: document.pop("seeds"), "seeds"),
        (lambda document: document.update(status="excellent"), "status"),
        (lambda document: document.update(schema_version="1.0.0"), "schema 1.0.0, and this release"),
        (lambda document: document["tasks"][0]["metrics"][0].update(n="9"), r"tasks\.0\.metrics\.0\.n"),
    ],
)
def test_a_file_of_another_shape_is_no_record_and_says_where(
    run: Saved, tmp_path: Path, change: Callable[[dict[str, Any]], None], named: str
) -> None:
    store.save(*run, tmp_path)
    edit_result(tmp_path, change)

    with pytest.raises(UsageError, match=named):
        store.load(tmp_path)


def test_a_folder_without_a_record_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no record"):
        store.load(tmp_path / "nowhere")


def test_every_aggregate_is_recomputed_bit_for_bit_from_the_item_log(run: Saved, tmp_path: Path) -> None:
    store.save(*run, tmp_path)
    record = store.load(tmp_path)
    rows = list(store.load_rows(tmp_path, record.tasks[0].samples))
    random.Random(0).shuffle(rows)  # whoever recomputes need not know the order

    recomputed = []
    (task,) = record.tasks
    for metric in task.metrics:
        values: dict[str, list[float]] = {}
        for row in rows:
            if row["subset"] == metric.subset and metric.sample_field in row["values"]:
                values.setdefault(row["cluster"], []).append(row["values"][metric.sample_field])
        recomputed.append(tuple(mean_over_clusters(values)))

    assert recomputed == [(m.value, m.stderr, m.interval, m.n, m.n_clusters) for m in task.metrics]
    assert {m.name for m in task.metrics} == {
        "accuracy",
        "p_true",
        "valid",
        "ties",
        "edit_accuracy",
        "p_edit",
        "true_beats_others",
    }
    assert all(m.stderr is not None and m.stderr > 0 for m in task.metrics)


def test_an_item_log_of_another_shape_is_refused_though_its_hash_matches(run: Saved, tmp_path: Path) -> None:
    record, logs = run
    ((name, _),) = logs.items()
    log = store.item_log([{"item": "x", "values": {}}])
    task = record.tasks[0]
    samples = store.described_log(name.removesuffix(".jsonl.gz"), log)
    forged = task_result_hash(record.spec.hash, task.spec_hash, task.metrics, samples)
    store.save(sealed(with_task(record, samples=samples, result_hash=forged)), {name: log}, tmp_path)

    with pytest.raises(TamperedRecord, match="is none of ours: KeyError 'subset'"):
        store.load_recomputed(tmp_path)
