"""What can go wrong, each with the exit code it ends the command with.

UnlearnBenchError          1   some runs failed, or the results contradict themselves
├── UsageError             2   a word, a setting or a file that cannot be right as given
│   └── UnknownName        2   … with the nearest name that exists
├── RefusedSubmission      4   a submission that is not what it says, or that nobody should have to open
├── MissingPrerequisite    5   something outside the command is absent: weights, a folder, an extra
├── TamperedRecord         1   a record whose hashes do not match what it says
├── ItemsWithheld, Escaped, BrokenEntry, Undelivered, NotReproduced
│                          1   an entry that does not keep to its interface; the others still run
└── Diverged               1   training left the numbers: of an edit, an `invalid` run; of an attack, a failed task
"""

import difflib
from collections.abc import Iterable


class UnlearnBenchError(Exception):
    """An error whose text says what is wrong, and whose hint says what would work."""

    exit_code = 1

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.hint = hint


class UsageError(UnlearnBenchError):
    """Something that was typed cannot be right."""

    exit_code = 2


class UnknownName(UsageError):
    """A name that nothing is registered under."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
        what = f"did you mean {near[0]!r}? " if near else ""
        super().__init__(f"unknown {kind} {name!r}", f"{what}there is: {', '.join(names) or 'none'}")


class MissingPrerequisite(UnlearnBenchError):
    """What the command needs is not there."""

    exit_code = 5


class TamperedRecord(UnlearnBenchError):
    """A record was changed after it was written."""


class RefusedSubmission(UnlearnBenchError):
    """A submission that is not accepted: the file, the place in it, and the reason."""

    exit_code = 4


class Diverged(UnlearnBenchError):
    """Training produced numbers that are not finite."""

    def __init__(self, what: str, history: list[dict[str, float]]) -> None:
        super().__init__(what)
        self.history = history
        """The steps before it."""
