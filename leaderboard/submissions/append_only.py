"""What a pull request may change: it adds one submission, and touches nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable

from unlearnbench.errors import RefusedSubmission
from unlearnbench.leaderboard.submissions.inventory import VERIFIED

PLACE = re.compile(r"results/submissions/([a-z0-9][a-z0-9-]{0,63})/.+")


def submission_of(changes: str) -> str:
    """The name of the one submission that is added, from the output of `git diff --name-status -z`.

    Raises `RefusedSubmission` where something is changed, removed, renamed, or outside that one folder, or where it
    brings a badge: these are the maintainers' to give.
    """
    names = set[str]()
    for status, path in _pairs(changes):
        shown = path.encode("unicode_escape").decode()[:200]
        found = PLACE.fullmatch(path)
        if found is None:
            raise RefusedSubmission(
                f"{shown}: not in a folder of results/submissions", "a submission is a pull request by itself"
            )
        if status != "A":
            raise RefusedSubmission(
                f"{shown}: it is there already, and submissions are only ever added",
                "submit under a new name, with --supersedes",
            )
        if path.endswith(f"/{VERIFIED}"):
            raise RefusedSubmission(f"{shown}: the maintainers say what was verified", "leave the file out")
        names.add(found[1])
    if len(names) != 1:
        raise RefusedSubmission(f"{len(names)} submissions in one pull request: {', '.join(sorted(names)) or 'none'}")
    return names.pop()


def _pairs(changes: str) -> Iterable[tuple[str, str]]:
    """Status and path; a rename or a copy has two paths, and is no addition."""
    words = iter(changes.strip("\0").split("\0") if changes.strip("\0") else ())
    for status in words:
        path = next(words, "")
        if status.startswith(("R", "C")):
            next(words, "")
        yield status, path
