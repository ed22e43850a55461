"""`unlearnbench submit pack|verify|changes`: results for the board, and the checks that everybody can run."""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from unlearnbench.cli.given import add_given, given_of
from unlearnbench.errors import RefusedSubmission, UnlearnBenchError, UsageError
from unlearnbench.include import include
from unlearnbench.records.checked import LEVELS

BOARD = Path("results/core-v1")


def add_to(verbs: Any) -> None:
    """Declare the verb, its own verbs and their options."""
    verb = verbs.add_parser("submit", help="pack results for the board, and verify what was packed")
    own = verb.add_subparsers(metavar="pack|verify|changes", required=True)
    _add_pack(own.add_parser("pack", help="a folder for a pull request, from runs; nothing is written where one fails"))
    _add_verify(own.add_parser("verify", help="what maintainers check, with the same errors"))
    changes = own.add_parser("changes", help="whether a pull request only adds one submission")
    changes.add_argument("file", type=Path, help="the output of `git diff --name-status -z BASE...HEAD`")
    changes.set_defaults(perform=check_changes)


def _add_pack(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("runs", nargs="+", type=Path, metavar="FOLDER", help="of runs, or above them")
    verb.add_argument("--name", required=True, help="of the submission: small letters, digits and '-'")
    verb.add_argument("--submitter", required=True, help="who is to be asked about it")
    verb.add_argument("--description", required=True, help="one sentence: what is new in it")
    verb.add_argument("--trials", type=int, required=True, help="settings of each method that were tried, all tries")
    verb.add_argument(
        "--tuned_on", choices=("nothing", "dev"), required=True, help="what they were judged by; `tune` uses dev"
    )
    verb.add_argument("--method_url", help="https address of the method's code or paper")
    verb.add_argument("--weights_url", help="https address of edited weights that are not packed")
    verb.add_argument("--license", choices=("CC-BY-4.0", "CC0-1.0"), default="CC-BY-4.0", help="of the records")
    verb.add_argument("--supersedes", nargs="+", default=[], metavar="NAME", help="earlier submissions")
    verb.add_argument("--with_weights", action="store_true", help="pack what --keep_edits kept, so it can be replayed")
    verb.add_argument("--output", "-o", type=Path, default=Path("results/submissions"), help="the folder above it")
    _add_board(verb)
    verb.set_defaults(perform=pack)


def _add_board(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--board", type=Path, help=f"the board's own runs, which it is to stand beside ({BOARD}, where that is)"
    )


def _add_verify(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("submission", type=Path, help="its folder")
    verb.add_argument(
        "--level",
        choices=LEVELS,
        default="recomputed",
        help="self-reported: the files are what they say; recomputed (the default): and every number follows from the"
        " item logs; replayed: and the edited weights answer so; reproduced: and repeated runs have the same hash",
    )
    verb.add_argument(
        "--runs", type=int, metavar="N", help="replay or repeat N of its runs, drawn at random by --nonce"
    )
    verb.add_argument("--nonce", default="", help="what they are drawn by: any words that the submitter did not know")
    verb.add_argument(
        "--weights", type=Path, help="folder with RUN/edit.safetensors, where they are not beside records"
    )
    verb.add_argument("--badge", action="store_true", help="maintainers: write what was found beside the submission")
    verb.add_argument("--include", type=Path, action="append", help="folder with the entries that it names")
    add_given(verb)
    _add_board(verb)
    verb.set_defaults(perform=verify)


def pack(chosen: argparse.Namespace) -> int:
    """Pack, and say what to do next."""
    from pydantic import ValidationError

    from unlearnbench.leaderboard.submissions import pack as packing
    from unlearnbench.leaderboard.submissions.manifest import Manifest, Tuning

    try:
        manifest = Manifest(
            name=chosen.name,
            submitter=chosen.submitter,
            description=chosen.description,
            license=chosen.license,
            method_url=chosen.method_url,
            weights_url=chosen.weights_url,
            tuning=Tuning(trials=chosen.trials, on=chosen.tuned_on),
            supersedes=tuple(chosen.supersedes),
            files=(),
        )
    except ValidationError as error:
        first = error.errors()[0]
        option = {"tuning.trials": "trials"}.get(".".join(map(str, first["loc"])), str(first["loc"][0]))
        raise RefusedSubmission(f"--{option} {first['input']!r}: {first['msg']}") from None
    found = packing.pack(manifest, chosen.runs, chosen.output, _board(chosen), with_weights=chosen.with_weights)
    if found.problems:
        return _refused(found.problems)
    target = chosen.output / chosen.name
    print(f"{target}: {len(found.runs)} runs, {sum(one.size for one in found.manifest.files) / 2**20:.1f} MiB")
    print(f"next: unlearnbench submit verify {target}, and a pull request that adds this folder and nothing else")
    return 0


def verify(chosen: argparse.Namespace) -> int:
    """Check up to the level that is wanted; exit 4 with every problem where it is not reached."""
    from unlearnbench.leaderboard.submissions import levels
    from unlearnbench.leaderboard.submissions.completeness import missing_cells
    from unlearnbench.leaderboard.submissions.verify import checked

    for folder in chosen.include or ():
        include(folder)
    if chosen.runs is not None and not chosen.nonce:
        raise UsageError("--runs draws by --nonce", "give words that the submitter did not know")
    found = checked(chosen.submission, recompute=chosen.level != "self-reported", board=_board(chosen))
    if found.problems:
        return _refused(found.problems)
    least = LEVELS[min(1, LEVELS.index(chosen.level))]
    reached = {run.record.identity.record_hash: least for run in found.runs}
    if chosen.level in ("replayed", "reproduced"):
        from unlearnbench.cli.submit_runs import performed

        problems = performed(chosen, found, given_of(chosen), reached)
        if problems:
            return _refused(problems)
    for name in found.manifest.supersedes:
        print(f"note: it takes the place of {name}, once --badge says so", file=sys.stderr)
    for line in missing_cells([run.record for run in found.runs], found.board):
        print(f"note: {line}; what is not complete is shown and not ranked", file=sys.stderr)
    if chosen.badge:
        levels.write(chosen.submission, reached, found.manifest.supersedes, datetime.now(UTC).strftime("%Y-%m-%d"))
    print(f"{chosen.submission}: {len(found.runs)} runs, {levels.lowest(reached.values())}")
    return 0


def _board(chosen: argparse.Namespace) -> Path | None:
    board: Path | None = chosen.board if chosen.board or not BOARD.is_dir() else BOARD
    if board is not None and not board.is_dir():
        raise UsageError(f"there is no results folder {board}", "give the board's own runs with --board")
    return board


def check_changes(chosen: argparse.Namespace) -> int:
    """Say which submission a pull request adds."""
    from unlearnbench.leaderboard.submissions.append_only import submission_of

    print(submission_of(chosen.file.read_bytes().decode("utf-8", "surrogateescape")))
    return 0


def _refused(problems: list[UnlearnBenchError]) -> int:
    for one in problems:
        print(f"refused: {one}", file=sys.stderr)
        if one.hint:
            print(f"hint: {one.hint}", file=sys.stderr)
    print(f"{len(problems)} problem{'s' if len(problems) > 1 else ''}; nothing was written", file=sys.stderr)
    return RefusedSubmission.exit_code
