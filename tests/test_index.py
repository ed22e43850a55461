"""The index of a board: it saves reading, and never shows anything else than what is there."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from unlearnbench.cli import main
from unlearnbench.leaderboard.board import Board
from unlearnbench.leaderboard.document import document
from unlearnbench.leaderboard.entries import Read, read
from unlearnbench.leaderboard.index import Index
from unlearnbench.leaderboard.page.contents import contents
from unlearnbench.leaderboard.page.html import page
from unlearnbench.leaderboard.reading import Packed, Reading, Unpacking, packed


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs."""
    folder = tmp_path_factory.mktemp("runs")
    words = "run --facts sports:people-64 --methods none,embeddings[steps=2] --tasks"
    tasks = "sports/forget,sports/maintain,sports/relearning[steps=2],sports/logit_lens[streams=block]"
    assert main([*words.split(), tasks, "--output_path", str(folder)]) == 0
    return folder


@pytest.fixture
def runs(made: Path, tmp_path: Path) -> Path:
    """A copy that may be spoilt."""
    return Path(shutil.copytree(made, tmp_path / "runs"))


@pytest.fixture
def reading(runs: Path, tmp_path: Path) -> Callable[[], Read]:
    """Reads by an index that is kept."""

    def again() -> Read:
        with Index(tmp_path / "cache" / "board.sqlite") as index:
            return read([runs], index=index)

    return again


def texts(found: Read, folder: Path) -> tuple[str, str]:
    """What a reader would see of it."""
    board = Board.of(found.entries)
    return document(board, ["runs"], folder / "x.md"), page(contents(board, ["runs"], folder / "x.html"))


def test_what_is_indexed_shows_what_was_read(
    runs: Path, reading: Callable[[], Read], monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the last digit, and no file of a run is opened the second time."""
    fresh = texts(read([runs]), runs)
    assert texts(reading(), runs) == fresh
    monkeypatch.setattr("unlearnbench.records.store.load_recomputed", lambda path: pytest.fail(f"{path} was read"))
    assert texts(reading(), runs) == fresh


def test_what_is_packed_comes_back_and_is_held_once(made: Path) -> None:
    """Every answer of every attack, and every value that counts; the base's own are the same object in all runs."""
    columns, texts = dict[str, str](), list[tuple[Reading, Packed]]()
    for entry in read([made]).entries:
        reading = Reading(entry.record, entry.attacks, entry.answers, entry.asked)
        texts.append((reading, packed(reading)))
        columns |= texts[-1][1].columns
    unpacking = Unpacking(columns.__getitem__)
    found = [(one, unpacking.reading(kept.record, kept.rest)) for one, kept in texts]
    for one, again in found:
        assert (again.attacks, again.answers, again.asked) == (one.attacks, one.answers, one.asked)
        assert [list(said) for said in again.attacks.values()] == [list(said) for said in one.attacks.values()]
        assert again.record.spec == one.record.spec
        assert [task.metrics[0] for task in again.record.tasks] == [task.metrics[0] for task in one.record.tasks]
    (_, first), (_, second) = found
    attacked = [key for key, one in first.answers.items() if one.axis == "robust"]
    assert attacked
    assert all(first.answers[key].ceiling is second.answers[key].ceiling for key in attacked)


def test_a_file_that_was_touched_is_read_again(runs: Path, reading: Callable[[], Read]) -> None:
    """An edited digit is found though size and times are what they were: the inode's own time cannot be set."""
    assert len(reading().entries) == 2
    path = next(runs.rglob("result.json"))
    status, data = path.stat(), path.read_bytes()
    path.write_bytes(data.replace(b'"n": 64', b'"n": 65', 1))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    found = reading()
    assert len(found.entries) == 1
    assert "was changed after it was written" in str(found.bad[0])
    path.write_bytes(data)
    assert len(reading().entries) == 2


def test_a_log_that_was_exchanged_is_read_again(runs: Path, reading: Callable[[], Read]) -> None:
    assert len(reading().entries) == 2
    next(runs.rglob("*.jsonl.gz")).write_bytes(b"nothing")
    assert len(reading().bad) == 1


def test_another_code_reads_again(runs: Path, reading: Callable[[], Read], monkeypatch: pytest.MonkeyPatch) -> None:
    reading()
    monkeypatch.setattr("unlearnbench.leaderboard.index._code", lambda: "another")
    read_again = list[Path]()
    from unlearnbench.records import store

    before = store.load_recomputed
    monkeypatch.setattr(store, "load_recomputed", lambda path: (read_again.append(path), before(path))[1])
    reading()
    assert len(read_again) == 2


def test_a_broken_index_costs_time_and_nothing_else(runs: Path, reading: Callable[[], Read], tmp_path: Path) -> None:
    fresh = texts(read([runs]), runs)
    path = tmp_path / "cache" / "board.sqlite"
    path.parent.mkdir()
    path.write_bytes(b"no database at all" * 100)
    assert texts(reading(), runs) == fresh
    assert texts(reading(), runs) == fresh
    for damage in ("drop table runs", "drop table columns", "delete from columns", "update columns set content = ''"):
        with sqlite3.connect(path) as connection:
            connection.execute(damage)
        assert texts(reading(), runs) == fresh
    path.unlink()
    path.parent.rmdir()
    path.parent.write_text("a file where the folder should be")
    assert texts(reading(), runs) == fresh


def test_the_command_can_do_without(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["leaderboard", str(runs), "--recompute"]) == 0
    first = capsys.readouterr().out
    assert main(["leaderboard", str(runs)]) == 0
    assert capsys.readouterr().out == first
