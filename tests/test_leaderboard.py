"""Rows are means over valid runs, read against the untouched model on the same seeds."""

import csv
import json
import math
from typing import Any, Literal

import pytest

from unlearnbench.leaderboard import export
from unlearnbench.leaderboard.standings import Standing, standings
from unlearnbench.leaderboard.table import render
from unlearnbench.model.source import ModelSource
from unlearnbench.records import record as records
from unlearnbench.records import store
from unlearnbench.records.record import MetricResult, Record, TaskResult
from unlearnbench.records.spec import EditSpec, FactsSpec, MethodSpec, TaskSpec

FORGET, MAINTAIN = "sports/forget", "sports/maintain"
WAYS: dict[str, Literal["min", "max", "oracle"]] = {FORGET: "oracle", MAINTAIN: "max"}


def a_metric(
    value: float, stderr: float | None, name: str = "accuracy", direction: Literal["min", "max", "oracle"] = "oracle"
) -> MetricResult:
    """A metric of one task."""
    return MetricResult(
        name=name,
        axis="forget",
        direction=direction,
        primary=name == "accuracy",
        value=value,
        stderr=stderr,
        interval=None,
        n=64,
        n_clusters=64,
        chance=0.25,
        subset="forget",
        sample_field=name,
    )


def a_task(name: str, seed: int, metrics: list[MetricResult]) -> TaskResult:
    """What a task found; its items are another draw for every seed."""
    spec = TaskSpec(
        name=name, version=1, source_sha256="sha256:t", settings={}, items_sha256=f"sha256:{seed}", batch_size=64
    )
    samples = store.described_log(spec.slug, b"")
    return TaskResult(spec=spec, spec_hash=spec.hash, result_hash="", session=0, metrics=metrics, samples=samples)


def a_record(
    method: str,
    seed: int = 0,
    *,
    forget: float | None = None,
    maintain: float | None = None,
    p_true: float | None = None,
    stderr: float | None = 0.01,
    invalid: str | None = None,
    model: str = "tiny",
    variant: str = "people-64",
    label: str | None = None,
    settings: dict[str, Any] | None = None,
    source: str = "mmmmmmmm",
) -> Record:
    """A record with these results and nothing else of interest."""
    asked = {FORGET: [("accuracy", forget), ("p_true", p_true)], MAINTAIN: [("accuracy", maintain)]}
    spec = EditSpec(
        method=MethodSpec(
            name=method, version=1, source_sha256=f"sha256:{source}", inputs={}, settings=settings or {}, parts={}
        ),
        facts=FactsSpec(name="sports", variant=variant, version=1, settings={}, items_sha256=f"sha256:{seed}"),
        model=ModelSource(
            kind="organism",
            name=model,
            weights_sha256="sha256:abcdef" + "0" * 58,
            config_sha256="sha256:c",
            tokenizer_sha256="sha256:t",
            layout="inline",
            learning_rate=1e-3,
            retain_text="world",
        ),
        seed=seed,
    )
    return Record(
        status="completed" if invalid is None else "invalid",
        invalid_reason=invalid,
        label=label or method,
        spec=spec,
        identity=records.Identity(edit_hash=spec.hash, result_hash="", record_hash=""),
        tasks=[
            a_task(task, seed, [a_metric(v, stderr, name, WAYS[task]) for name, v in found if v is not None])
            for task, found in asked.items()
            if found[0][1] is not None and invalid is None
        ],
        retain=records.RetainResult(loss_before=1.0, loss_after=1.0, kl=0.0),
        localization=records.LocalizationResult(
            components=[],
            scores={},
            tensors=[],
            parameters=0,
            share_of_blocks=0.0,
            change_by_component={},
            change_inside=0.0,
            change_outside=0.0,
        ),
        weights=records.WeightsResult(base_sha256="", edited_sha256="", parameters=1),
        history=[],
        seeds={"run": seed},
        sessions=[
            records.Session(
                created_at="2025-01-01T00:00:00Z",
                benchmark_version="0",
                resources=records.Resources(stages_s={}, peak_rss_bytes=1, peak_vram_bytes=None, flops_estimate=0.0),
                environment={},
                git=None,
            )
        ],
    )


def row_of(method: str, rows: list[Standing]) -> Standing:
    """The one row of a method."""
    (found,) = [row for row in rows if row.method == method]
    return found


def line_of(method: str, text: str) -> str:
    """The one line of a table that begins with a method."""
    (found,) = [line for line in text.splitlines() if line.lstrip("| ").startswith(f"{method} ")]
    return found


def test_a_cell_is_the_mean_over_seeds_and_its_difference_from_the_untouched_model_on_the_same_seeds() -> None:
    rows = standings(
        [
            a_record("none", 0, forget=0.8),
            a_record("none", 1, forget=0.9),
            a_record("none", 2, forget=0.1),
            a_record("all_mlps", 0, forget=0.2),
            a_record("all_mlps", 1, forget=0.4),
        ]
    )

    score = row_of("all_mlps", rows).scores[FORGET]

    assert score.value == pytest.approx(0.3)
    assert score.difference == pytest.approx(0.3 - 0.85)
    assert score.seeds == 2
    assert row_of("all_mlps", rows).seeds == (0, 1)


def test_there_is_no_difference_where_the_untouched_model_lacks_one_of_the_seeds() -> None:
    rows = standings([a_record("none", 0, forget=0.8), *(a_record("all_mlps", seed, forget=0.2) for seed in (0, 1))])

    assert row_of("all_mlps", rows).scores[FORGET].difference is None
    assert "(" not in line_of("all_mlps", render(rows))


@pytest.mark.parametrize("elsewhere", [{"model": "other"}, {"variant": "people-16"}])
def test_the_untouched_model_of_another_setting_is_no_reference(elsewhere: dict[str, str]) -> None:
    rows = standings([a_record("none", forget=0.8, **elsewhere), a_record("all_mlps", forget=0.2)])  # type: ignore[arg-type]

    assert row_of("all_mlps", rows).scores[FORGET].difference is None
    assert len({row.setting for row in rows}) == 2


def test_invalid_runs_are_in_no_mean_and_are_named() -> None:
    rows = standings(
        [
            a_record("none", 0, forget=0.8),
            a_record("none", 1, forget=0.8),
            a_record("all_mlps", 0, forget=0.2),
            a_record("all_mlps", 1, forget=0.0, invalid="changed nothing: every weight is what it was"),
        ]
    )

    row = row_of("all_mlps", rows)

    assert row.scores[FORGET].value == 0.2
    assert row.seeds == (0,)
    assert row.invalid == ("seed 1: changed nothing: every weight is what it was",)
    assert "invalid: all_mlps, seed 1: changed nothing: every weight is what it was" in render(rows)


def test_an_invalid_untouched_model_is_no_reference() -> None:
    rows = standings([a_record("none", forget=0.8, invalid="collapsed: x"), a_record("all_mlps", forget=0.2)])

    assert row_of("all_mlps", rows).scores[FORGET].difference is None


def test_a_method_without_a_valid_run_is_shown_as_invalid() -> None:
    rows = standings([a_record("none", forget=0.8), a_record("all_mlps", forget=0.9, invalid="diverged: x")])

    assert row_of("all_mlps", rows).scores == {}
    assert line_of("all_mlps", render(rows)).split() == ["all_mlps", "invalid", "0"]
    assert "0.900" not in render(rows)


def test_references_come_first_and_the_others_by_name() -> None:
    methods = ["full_finetune", "oracle", "all_mlps", "none", "attribution_patching"]

    rows = standings([a_record(method, forget=i / 10) for i, method in enumerate(methods)])

    assert [row.method for row in rows] == ["none", "oracle", "all_mlps", "attribution_patching", "full_finetune"]
    assert [row.reference for row in rows] == [True, True, False, False, False]


def test_departures_from_the_defaults_are_rows_of_their_own() -> None:
    longer = a_record("all_mlps", forget=0.3, label="all_mlps[steps=9]", settings={"steps": 9})
    rows = standings([a_record("all_mlps", forget=0.1), longer])

    assert {row.method: row.scores[FORGET].value for row in rows} == {"all_mlps": 0.1, "all_mlps[steps=9]": 0.3}


def test_a_task_that_was_not_asked_is_shown_as_a_dash() -> None:
    rows = standings([a_record("none", forget=0.8, maintain=0.9), a_record("all_mlps", forget=0.2)])

    text = render(rows)

    assert line_of("all_mlps", text).split() == ["all_mlps", "0.200", "±", "0.010", "(−0.600)", "–", "1"]
    assert "–" not in line_of("none", text)


def test_runs_of_one_seed_that_ask_different_tasks_are_one_row_with_all_of_them() -> None:
    found = [
        a_record("none", forget=0.8),
        a_record("none", maintain=0.9),
        a_record("all_mlps", forget=0.2),
        a_record("all_mlps", maintain=0.7),
    ]

    for order in (found, found[::-1]):
        scores = row_of("all_mlps", standings(order)).scores
        assert {task: score.value for task, score in scores.items()} == {FORGET: 0.2, MAINTAIN: 0.7}
        assert scores[FORGET].difference == pytest.approx(-0.6)
        assert scores[MAINTAIN].difference == pytest.approx(-0.2)


@pytest.mark.parametrize(
    ("values", "stderr", "error"),
    [
        ([0.2], 0.05, 0.05),
        ([0.2], None, None),
        ([0.2, 0.4], None, 0.1),
        ([0.2, 0.4], 0.05, 0.1),
        ([0.2, 0.4], 0.15, 0.15),
        ([0.3, 0.3], 0.02, 0.02),
        ([0.1, 0.2, 0.6], 0.0, math.sqrt((0.04 + 0.01 + 0.09) / 2 / 3)),
    ],
)
def test_the_error_is_the_larger_of_that_over_seeds_and_that_over_items(
    values: list[float], stderr: float | None, error: float | None
) -> None:
    rows = standings(a_record("all_mlps", seed, forget=value, stderr=stderr) for seed, value in enumerate(values))

    found = row_of("all_mlps", rows).scores[FORGET].error

    assert found == (None if error is None else pytest.approx(error))
    assert ("±" in line_of("all_mlps", render(rows))) is (error is not None)


def test_another_metric_can_be_shown_for_the_tasks_that_have_it() -> None:
    rows = standings(
        [
            a_record("none", forget=0.8, maintain=0.9, p_true=0.75),
            a_record("all_mlps", forget=0.2, maintain=0.7, p_true=0.25),
        ],
        "p_true",
    )

    scores = row_of("all_mlps", rows).scores

    assert {task: (score.value, score.difference) for task, score in scores.items()} == {FORGET: (0.25, -0.5)}


def test_the_untouched_model_is_shown_without_a_difference_from_itself() -> None:
    text = render(standings([a_record("none", forget=0.8), a_record("all_mlps", forget=0.9)]))

    assert line_of("none", text).split() == ["none", "0.800", "±", "0.010", "1"]
    assert "(+0.100)" in line_of("all_mlps", text)


def test_markdown_is_a_table_that_renders() -> None:
    rows = standings([a_record("none", forget=0.8, maintain=0.9), a_record("all_mlps", forget=0.2, maintain=0.9)])

    table = [line for line in render(rows, "github").splitlines() if line.startswith("|")]

    scores = [[score.strip() for score in line.strip("|").split("|")] for line in table]
    assert scores[0] == ["method", FORGET, MAINTAIN, "seeds"]
    assert all(set(score) <= set(":-") and score for score in scores[1])
    assert [line[0] for line in scores[2:]] == ["none", "all_mlps"]
    assert {len(line) for line in scores} == {4}


def test_each_model_and_fact_set_has_a_table_of_its_own() -> None:
    text = render(standings([a_record("none", forget=0.8), a_record("none", forget=0.7, variant="football")]))

    titles = [line.rsplit(" · ", 1)[0] for line in text.splitlines() if line.startswith("model ")]

    assert titles == ["model tiny@abcdef · facts sports:football", "model tiny@abcdef · facts sports:people-64"]


def test_no_records_are_said_in_words() -> None:
    assert render(standings([])) == "There are no records."


def test_two_methods_of_one_label_are_told_apart_by_their_code() -> None:
    rows = standings([a_record("own", forget=0.1, source="aaaa1111"), a_record("own", forget=0.9, source="bbbb2222")])

    assert {row.method: row.scores[FORGET].value for row in rows} == {"own@aaaa": 0.1, "own@bbbb": 0.9}


def test_a_number_of_fewer_seeds_than_its_row_says_so() -> None:
    rows = standings(
        [
            *(a_record("none", seed, forget=0.8, maintain=0.9) for seed in (0, 1)),
            a_record("all_mlps", 0, forget=0.2, maintain=0.7),
            a_record("all_mlps", 1, forget=0.2),
        ]
    )

    scores = row_of("all_mlps", rows).scores

    assert (scores[FORGET].seeds, scores[MAINTAIN].seeds) == (2, 1)
    assert "[1 of 2 seeds]" in line_of("all_mlps", render(rows))
    assert "seeds]" not in line_of("none", render(rows))


def test_the_legend_says_of_each_column_which_way_is_better() -> None:
    text = render(standings([a_record("none", forget=0.8, maintain=0.9)]))

    assert f"{FORGET}: forgotten is what comes near the oracle" in text
    assert f"{MAINTAIN}: higher is better" in text
    assert "oracle" not in render(standings([a_record("none", maintain=0.9)])).splitlines()[-1]


def test_the_table_names_the_version_of_the_scores() -> None:
    assert "scores v2" in render(standings([a_record("none", forget=0.8)])).splitlines()[0]


def test_for_other_programs_there_is_one_number_in_a_field() -> None:
    rows = standings(
        [a_record("none", forget=0.8), a_record("all_mlps", forget=0.2), a_record("x", invalid="diverged: y")]
    )

    lines = list(csv.DictReader(export.as_csv(rows).splitlines()))

    assert [(line["method"], line["task"]) for line in lines] == [("none", FORGET), ("all_mlps", FORGET), ("x", "")]
    assert float(lines[1]["value"]) == 0.2
    assert float(lines[1]["difference"]) == pytest.approx(-0.6)
    assert (lines[1]["metric"], lines[1]["direction"], lines[1]["seeds"]) == ("accuracy", "oracle", "1")
    assert [score.get("value") for score in json.loads(export.as_json(rows))] == [0.8, 0.2, None]
