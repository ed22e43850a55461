"""What others have reported stands beside our boards, is told as theirs, and is never ranked."""

from pathlib import Path

import pytest

from unlearnbench.errors import UsageError
from unlearnbench.leaderboard.reported import AVERAGED, as_markdown, read_rows
from unlearnbench.records.store import result_files

ROOT = Path(__file__).parents[1]
CELLS = "results/reported/mechanistic-unlearning.csv"


def test_the_page_is_what_the_cells_say() -> None:
    rows = read_rows(ROOT / CELLS)
    assert len(rows) == 216
    assert (ROOT / CELLS).with_suffix(".md").read_text("utf-8") == as_markdown(rows, CELLS)


def test_means_are_those_that_the_paper_prints() -> None:
    """Of fact lookup where one sport is forgotten, as question, as multiple choice, relearned, and on the Pile."""
    rows = [
        row for row in read_rows(ROOT / CELLS) if (row["edit"], row["localization"]) == ("one sport", "fact lookup")
    ]
    found = {key: sum(float(row[key]) for row in rows) / len(rows) for key in AVERAGED}
    printed = {"forget": 0.007, "edit_target": 0.904, "maintain": 0.895, "choice_forget": 0.278, "choice_edit": 0.487}
    for key, value in {**printed, "choice_maintain": 0.480, "relearned_forget": 0.958, "pile_loss": 2.245}.items():
        assert found[key] == pytest.approx(value, abs=6e-4), key


def test_no_board_finds_them() -> None:
    assert result_files(ROOT / "results" / "reported") == []


def test_another_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no file"):
        read_rows(tmp_path / "cells.csv")
    (tmp_path / "cells.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UsageError, match="no column edit, model"):
        read_rows(tmp_path / "cells.csv")
