"""A record shows any later change, is complete when it is there, and is recomputable from its item log."""

import gzip
import json
import random
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from unlearnbench.asking.task import Row
from unlearnbench.errors import TamperedRecord, UsageError
from unlearnbench.model.source import Located, ModelSource
from unlearnbench.records import record as records
from unlearnbench.records.estimate import mean_over_clusters
from unlearnbench.records.record import RESULT, SAMPLES, MetricResult, Record
from unlearnbench.running import run as runner
from unlearnbench.running.plan import parse_facts, parse_method, plan
from unlearnbench.tasks.forget import Forget

TASK = "sports/forget"
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
            found.append(
                Row(
                    item=f"sport:{subject}#{item}",
                    cluster=f"subject {subject}",
                    part="forget",
                    prompt_sha256="sha256:" + "1" * 64,
                    choices=("golf", "tennis"),
                    gold=0,
                    logprobs=(-0.1, -2.5),
                    decision=0,
                    margin=2.4,
                    values=values,
                )
            )
    return found


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[Record, bytes]:
    """A record as the runner seals it, and its item log; no model is loaded."""
    monkeypatch.setattr(runner, "source_state", lambda: None)
    facts = parse_facts("sports")
    cell = plan(
        methods=[parse_method("none", {})], facts=[facts], tasks=[TASK], seeds=[0], source=SOURCE, batch_size=64
    )[0]
    rows, task = item_rows(), Forget()
    log = records.item_log({"task": TASK, **asdict(row)} for row in rows)
    record = runner.Runner(Located(source=SOURCE, folder=tmp_path))._record(
        cell,
        status="completed",
        invalid_reason=None,
        metrics=runner._results(TASK, task, task.metrics(facts), rows),
        retain_loss={"before": 2.5, "after": None},
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
        samples=records.describe_samples(log),
        resources=records.Resources(stages_s={"edit": 1.5}, peak_rss_bytes=1, peak_vram_bytes=None, flops_estimate=1e9),
    )
    return record, log


def edit_result(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change `result.json` by hand, as somebody with an editor would."""
    document = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    change(document)
    (folder / RESULT).write_text(json.dumps(document), encoding="utf-8")


def other_metric_value(document: dict[str, Any]) -> None:
    """A better result than was measured."""
    document["metrics"][0]["value"] += 1e-12


def other_seed(document: dict[str, Any]) -> None:
    """Another question than was asked."""
    document["spec"]["seed"] = 1


def other_cost(document: dict[str, Any]) -> None:
    """A number that is neither asked nor measured."""
    document["resources"]["flops_estimate"] = 1.0


def test_a_record_and_its_hashes_survive_saving_and_loading(run: tuple[Record, bytes], tmp_path: Path) -> None:
    record, log = run

    records.save(record, log, tmp_path / "run")
    loaded = records.load(tmp_path / "run")

    assert loaded == record
    assert loaded.problems() == []
    assert loaded.identity.spec_hash == record.spec.hash


def test_a_record_can_be_loaded_by_its_file_as_well_as_by_its_folder(run: tuple[Record, bytes], tmp_path: Path) -> None:
    path = records.save(*run, tmp_path)

    assert records.load(path) == records.load(tmp_path)
    assert records.records(tmp_path) == [(tmp_path, run[0])]


@pytest.mark.parametrize(
    ("change", "named", "not_named"),
    [
        (other_metric_value, ["result_hash", "record_hash"], ["spec_hash"]),
        (other_seed, ["spec_hash", "result_hash", "record_hash"], []),
        (other_cost, ["record_hash"], ["spec_hash", "result_hash"]),
    ],
)
def test_an_edited_number_is_refused_with_the_hashes_that_do_not_match(
    run: tuple[Record, bytes],
    tmp_path: Path,
    change: Callable[[dict[str, Any]], None],
    named: list[str],
    not_named: list[str],
) -> None:
    records.save(*run, tmp_path)
    edit_result(tmp_path, change)

    with pytest.raises(TamperedRecord) as refused:
        records.load(tmp_path)

    assert [name for name in named if name not in str(refused.value)] == []
    assert [name for name in not_named if name in str(refused.value)] == []
    assert refused.value.exit_code == 1


def test_writing_the_same_document_differently_is_no_change(run: tuple[Record, bytes], tmp_path: Path) -> None:
    records.save(*run, tmp_path)

    edit_result(tmp_path, lambda document: document.update(dict(reversed(list(document.items())))))

    assert records.load(tmp_path) == run[0]


def test_the_item_log_is_read_back_row_by_row(run: tuple[Record, bytes], tmp_path: Path) -> None:
    record, log = run

    records.save(record, log, tmp_path)
    rows = records.load_rows(tmp_path, record)

    expected = [{"task": TASK, **asdict(row)} for row in item_rows()]
    assert list(rows) == json.loads(json.dumps(expected))
    assert record.samples.n == len(expected)
    assert record.samples.bytes_uncompressed == len(log)


@pytest.mark.parametrize(
    "forge",
    [
        pytest.param(lambda log: gzip.compress(log.replace(b'"decision":0', b'"decision":1', 1)), id="one number"),
        pytest.param(lambda log: gzip.compress(log[: log.rindex(b"\n", 0, -1) + 1]), id="last row gone"),
        pytest.param(lambda log: gzip.compress(b"".join(reversed(log.splitlines(True)))), id="other order"),
        pytest.param(lambda log: gzip.compress(log)[:-20], id="cut off"),
        pytest.param(lambda _: b"not gzip at all", id="other bytes"),
        pytest.param(lambda _: gzip.compress(b"\xff\xfe"), id="no text"),
        pytest.param(lambda _: None, id="file gone"),
    ],
)
def test_an_altered_item_log_is_refused(
    run: tuple[Record, bytes], tmp_path: Path, forge: Callable[[bytes], bytes | None]
) -> None:
    record, log = run
    records.save(record, log, tmp_path)
    forged = forge(log)
    (tmp_path / SAMPLES).unlink()
    if forged is not None:
        (tmp_path / SAMPLES).write_bytes(forged)

    with pytest.raises(TamperedRecord, match="item log"):
        records.load_rows(tmp_path, record)


def test_an_item_log_that_was_only_compressed_again_is_accepted(run: tuple[Record, bytes], tmp_path: Path) -> None:
    record, log = run
    records.save(record, log, tmp_path)

    (tmp_path / SAMPLES).write_bytes(gzip.compress(log, compresslevel=1, mtime=7))

    assert len(records.load_rows(tmp_path, record)) == record.samples.n


def test_the_item_log_is_written_first_and_the_result_last(
    run: tuple[Record, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    replace = Path.replace

    def noting(path: Path, target: Path) -> Path:
        written.append(Path(target).name)
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", noting)
    records.save(*run, tmp_path)

    assert written == [SAMPLES, RESULT]


def test_nothing_but_the_two_files_is_left_by_a_save(run: tuple[Record, bytes], tmp_path: Path) -> None:
    records.save(*run, tmp_path)
    records.save(*run, tmp_path)

    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([RESULT, SAMPLES])


def test_a_run_whose_item_log_cannot_be_written_is_not_there(
    run: tuple[Record, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        records.save(*run, tmp_path)

    assert not (tmp_path / RESULT).exists()
    assert not (tmp_path / SAMPLES).exists()
    assert records.records(tmp_path) == []


@pytest.mark.parametrize(
    "update",
    [
        {"created_at": "1999-01-01T00:00:00Z"},
        {"label": "another name"},
        {"environment": {"python": "2.7"}},
        {"history": []},
        {"warnings": ["it rained"]},
    ],
)
def test_the_result_hash_ignores_when_where_and_under_which_name(
    run: tuple[Record, bytes], update: dict[str, Any]
) -> None:
    changed = run[0].model_copy(update=update)

    assert changed.problems() == ["record_hash"]


@pytest.mark.parametrize("field", ["value", "stderr", "n", "n_clusters", "chance"])
def test_the_result_hash_changes_with_every_number_of_a_metric(run: tuple[Record, bytes], field: str) -> None:
    first, *others = run[0].metrics
    other = first.model_copy(update={field: getattr(first, field) + 1})

    changed = run[0].model_copy(update={"metrics": [other, *others]})

    assert changed.problems() == ["result_hash", "record_hash"]


def test_the_result_hash_changes_with_the_item_log(run: tuple[Record, bytes]) -> None:
    record, log = run

    changed = record.model_copy(update={"samples": records.describe_samples(log + log)})

    assert changed.problems() == ["result_hash", "record_hash"]


@pytest.mark.parametrize("field", ["value", "stderr", "chance"])
@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_not_finite_is_refused_by_the_schema(
    run: tuple[Record, bytes], field: str, number: float
) -> None:
    good = run[0].metrics[0].model_dump()
    assert MetricResult(**good) == run[0].metrics[0]

    with pytest.raises(ValidationError, match="finite"):
        MetricResult(**{**good, field: number})


def test_nan_in_a_file_is_refused_by_the_name_of_its_field(run: tuple[Record, bytes], tmp_path: Path) -> None:
    records.save(*run, tmp_path)
    edit_result(tmp_path, lambda document: document["history"][0].update(forget=float("nan")))

    with pytest.raises(UsageError, match=r"history\.0\.forget"):
        records.load(tmp_path)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda document: document.update(surprise=1), "surprise"),
        (lambda document: document.pop("seeds"), "seeds"),
        (lambda document: document.update(status="excellent"), "status"),
        (lambda document: document.update(schema_version="2.0.0"), "schema_version"),
        (lambda document: document["metrics"][0].update(n="9"), r"metrics\.0\.n"),
    ],
)
def test_a_file_of_another_shape_is_no_record_and_says_where(
    run: tuple[Record, bytes], tmp_path: Path, change: Callable[[dict[str, Any]], None], named: str
) -> None:
    records.save(*run, tmp_path)
    edit_result(tmp_path, change)

    with pytest.raises(UsageError, match=named):
        records.load(tmp_path)


def test_a_folder_without_a_record_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no record"):
        records.load(tmp_path / "nowhere")


def test_every_aggregate_is_recomputed_bit_for_bit_from_the_item_log(run: tuple[Record, bytes], tmp_path: Path) -> None:
    records.save(*run, tmp_path)
    record = records.load(tmp_path)
    rows = list(records.load_rows(tmp_path, record))
    random.Random(0).shuffle(rows)  # whoever recomputes need not know the order

    recomputed = []
    for metric in record.metrics:
        values: dict[str, list[float]] = {}
        for row in rows:
            if (row["task"], row["part"]) == (metric.task, metric.part) and metric.sample_field in row["values"]:
                values.setdefault(row["cluster"], []).append(row["values"][metric.sample_field])
        recomputed.append(tuple(mean_over_clusters(values)))

    assert recomputed == [(m.value, m.stderr, m.n, m.n_clusters) for m in record.metrics]
    assert {m.name for m in record.metrics} == {"accuracy", "p_true", "valid", "ties", "edit_accuracy", "p_edit"}
    assert all(m.stderr is not None and m.stderr > 0 for m in record.metrics)


def test_a_metric_that_no_row_has_is_left_out() -> None:
    task = Forget()
    rows = [row for row in item_rows() if "p_edit" not in row.values]

    found = runner._results(TASK, task, task.metrics(parse_facts("sports")), rows)

    assert [metric.name for metric in found] == ["accuracy", "p_true", "valid", "ties"]
    assert [metric.name for metric in found if metric.primary] == ["accuracy"]
