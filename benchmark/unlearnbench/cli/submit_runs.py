"""The levels of `submit verify` that run something."""

import argparse
import hashlib
import sys
from pathlib import Path
from typing import Any

from unlearnbench.errors import RefusedSubmission, UnlearnBenchError
from unlearnbench.running.again import Again, Given, again


def performed(chosen: argparse.Namespace, found: Any, given: Given, reached: dict[str, Any]) -> list[UnlearnBenchError]:
    """Replay or repeat the runs, or some of them drawn by the nonce, and note in `reached` what each came to."""
    problems = list[UnlearnBenchError]()
    able = [run for run in found.runs if run.record.status == "completed" or chosen.level == "reproduced"]
    drawn = _drawn(able, chosen.runs, chosen.nonce)
    for number, run in enumerate(drawn, 1):
        print(f"[{number}/{len(drawn)}] {run.path}", file=sys.stderr)
        made = again(run.record, given)
        one = _mislabelled(run, made)
        one = one or (_replayed if chosen.level == "replayed" else _reproduced)(chosen, run, made)
        if one:
            problems += one
        else:
            reached[run.record.identity.record_hash] = chosen.level
    return problems


def _drawn(runs: list[Any], count: int | None, nonce: str) -> list[Any]:
    """So that a submitter cannot know which, and anybody can check that they were drawn."""
    if count is None or count >= len(runs):
        return list(runs)
    key = {run.path: hashlib.sha256(f"{run.record.identity.record_hash}{nonce}".encode()).digest() for run in runs}
    return sorted(runs, key=lambda run: key[run.path])[: max(count, 1)]


def _mislabelled(run: Any, made: Again) -> list[UnlearnBenchError]:
    """A label is what a reader takes for the method."""
    if made.is_called(run.record.label):
        return []
    return [RefusedSubmission(f"{run.path}: its label {run.record.label!r} means another method, or other settings")]


def _replayed(chosen: argparse.Namespace, run: Any, made: Again) -> list[UnlearnBenchError]:
    from unlearnbench.running.repeat import silent
    from unlearnbench.running.replay import replay

    folder = chosen.submission / run.path
    weights = Path(chosen.weights) / run.path if chosen.weights else folder
    found = replay(folder, weights, made, silent)
    print(f"  {'bit for bit' if found.exact else 'not bit for bit'}", file=sys.stderr)
    return [RefusedSubmission(f"{run.path}: {one}") for one in found.problems]


def _reproduced(chosen: argparse.Namespace, run: Any, made: Again) -> list[UnlearnBenchError]:
    from unlearnbench.running.repeat import repeat_planned

    found = repeat_planned(chosen.submission / run.path, made)
    why = [f"{name} is not what it was" for name in found.changed]
    why += [f"it came out otherwise: {found.difference}"] if found.difference else []
    return [RefusedSubmission(f"{run.path}: {one}") for one in why]
