"""The committed board: it is what the committed records say, and these cannot be changed unnoticed."""

import gzip
import json
import random
import shutil
from pathlib import Path

import pytest

from unlearnbench.cli import main
from unlearnbench.errors import UnlearnBenchError
from unlearnbench.leaderboard.entries import read
from unlearnbench.leaderboard.index import Index
from unlearnbench.leaderboard.rankings import rankings
from unlearnbench.records import store

ROOT = Path(__file__).parents[1]
FOLDERS = ["results/core-v1", "results/submissions"]
COLLAPSE = "full_finetune[learning_rate=0.1]"


@pytest.mark.end_to_end
def test_the_document_is_what_the_records_say(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And by its numbers the oracle is first, and what did nothing, and what broke everything, are last."""
    monkeypatch.chdir(ROOT)
    assert main(["leaderboard", "check", *FOLDERS, "--output", "leaderboard/LEADERBOARD.md"]) == 0, capsys.readouterr()
    with Index() as index:  # as the command has just left it
        found = read([Path(folder) for folder in FOLDERS], index=index)
    tables = rankings(found.entries)
    assert {(one.facts, one.model.split("@")[0]) for one in tables} == {
        (facts, model) for facts in ("sports:people-64", "counterfact:64") for model in ("tiny", "tiny-planted")
    }
    for one in tables.values():
        ranked = [row.method for row in one.placed if row.rank is not None]
        assert (ranked[0], ranked[-1]) == ("oracle", "none")
        assert COLLAPSE not in ranked
        assert all(len(row.seeds) == 3 for row in one.placed if row.rank is not None)
    broken = [one.record for one in found.entries if one.record.label == COLLAPSE]
    assert len(broken) == 3 * len(tables)
    assert {one.status for one in broken} == {"invalid"}


@pytest.mark.parametrize("draw", range(12))
def test_one_edited_digit_is_found(draw: int, tmp_path: Path) -> None:
    """Anywhere in a committed record or item log; the error names the file."""
    rng = random.Random(draw)
    path = rng.choice(store.result_files(ROOT / "results" / "core-v1"))
    run = Path(shutil.copytree(path.parent, tmp_path / "run"))
    files = sorted(file for file in run.iterdir() if file.suffix in (".json", ".gz"))
    file = files[draw % len(files)]
    data = bytearray(gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes())
    before = bytes(data)
    at = rng.choice([i for i, byte in enumerate(data) if chr(byte).isdigit()])
    data[at] = ord(str((int(chr(data[at])) + rng.randint(1, 9)) % 10))
    if file.suffix == ".json" and _same(before, bytes(data)):
        pytest.skip("the last digit of a number that is the same either way")
    file.write_bytes(gzip.compress(bytes(data)) if file.suffix == ".gz" else bytes(data))
    with pytest.raises(UnlearnBenchError) as caught:
        store.load_recomputed(run)
    assert file.name in str(caught.value) or "result.json" in str(caught.value)


def _same(before: bytes, after: bytes) -> bool:
    try:
        return bool(json.loads(before) == json.loads(after))
    except ValueError:
        return False
