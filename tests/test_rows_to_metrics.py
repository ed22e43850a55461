"""Rows become metrics as the task declares them, and a task that does not deliver them fails."""

import re
from dataclasses import replace

import pytest

from unlearnbench.asking.row import Metric, Row
from unlearnbench.running.ask import Undelivered, results
from unlearnbench.tasks.facts.sports import Sports
from unlearnbench.tasks.forget import Forget

TASK = "sports/forget"


def test_a_metric_that_no_row_has_is_an_error_and_never_an_empty_column() -> None:
    task, values = Forget(), {"accuracy": 1.0, "p_true": 0.5, "valid": 1.0, "tie": 0.0}
    rows = [Row(f"i{i}", f"s{i}", "forget", values) for i in range(4)]

    with pytest.raises(Undelivered, match=r"'edit_accuracy'.*no row has that"):
        results(TASK, task, task.metrics(Sports("people-16").split(0)), rows)


def test_facts_without_an_edit_target_have_no_metric_about_it() -> None:
    split = Sports("people-16").split(0)
    aimless = replace(
        split,
        relearn_train=[replace(fact, edit_target=None) for fact in split.relearn_train],
        relearn_test=[replace(fact, edit_target=None) for fact in split.relearn_test],
    )

    assert [metric.name for metric in Forget().metrics(aimless)] == ["accuracy", "p_true", "valid", "ties"]


class Curve(Forget):
    """A task whose second metric is a curve."""

    primary = "accuracy"


def curve_rows() -> list[Row]:
    """Two items, and the same two at three layers."""
    plain = [Row(f"i{i}", f"s{i}", "forget", {"accuracy": float(i)}) for i in range(2)]
    layered = [
        Row(f"i{i}", f"s{i}", "forget", {"probe": i * layer}, {"layer": layer}) for i in range(2) for layer in range(3)
    ]
    return plain + layered


def test_a_metric_with_an_axis_is_one_number_for_each_of_its_coordinates() -> None:
    metrics = [
        Metric("accuracy", "accuracy", "forget", "forget", "min"),
        Metric("probe", "probe", "forget", "robust", "min", at=("layer",)),
    ]

    found = results(TASK, Curve(), metrics, curve_rows())

    assert [(m.name, m.at, m.value, m.n) for m in found] == [
        ("accuracy", {}, 0.5, 2),
        *(("probe", {"layer": layer}, layer / 2, 2) for layer in range(3)),
    ]


@pytest.mark.parametrize(
    ("metrics", "complaint"),
    [
        ([Metric("other", "accuracy", "forget", "forget", "min")], "metrics() does not declare it"),
        ([Metric("accuracy", "probe", "forget", "forget", "min", at=("layer",))], "declares it as a curve"),
        ([Metric("accuracy", "accuracy", "retain", "forget", "min")], "over subset 'retain', and no row has that"),
        (
            [
                Metric("accuracy", "accuracy", "forget", "forget", "min"),
                Metric("probe", "probe", "forget", "robust", "min", at=("step",)),
            ],
            "along step, and no row has that",
        ),
    ],
)
def test_a_task_that_does_not_deliver_what_it_declares_fails(metrics: list[Metric], complaint: str) -> None:
    with pytest.raises(Undelivered, match=re.escape(complaint)):
        results(TASK, Curve(), metrics, curve_rows())


def test_a_task_that_returns_no_rows_at_all_fails() -> None:
    metrics = [Metric("accuracy", "accuracy", "forget", "forget", "min")]

    with pytest.raises(Undelivered, match="returned NoneType"):
        results(TASK, Curve(), metrics, None)  # type: ignore[arg-type]
