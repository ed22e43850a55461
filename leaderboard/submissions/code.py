"""Whether questions and references are ours: a record says which code asked, and that code is here."""

from __future__ import annotations

from unlearnbench import registry
from unlearnbench.asking.task import Task
from unlearnbench.errors import RefusedSubmission, UnknownName, UnlearnBenchError
from unlearnbench.leaderboard.standings import REFERENCES
from unlearnbench.records.record import Record
from unlearnbench.records.spec import SCORES_VERSION, EntrySpec
from unlearnbench.running.identity import source_digest
from unlearnbench.running.words import entry_of

HINT = "run it with this release, and with nothing changed in its tasks"


def problems_of_code(path: str, record: Record) -> list[UnlearnBenchError]:
    """Tasks and references whose code is not of this release: their numbers are those of another benchmark."""
    found = list[UnlearnBenchError]()
    if record.spec.scores_version != SCORES_VERSION:
        what = f"{path}: its scores are of version {record.spec.scores_version}, and the board's of {SCORES_VERSION}"
        found.append(RefusedSubmission(what, "run it again with this release"))
    for one in record.tasks:
        try:
            entry: type[Task] = registry.tasks[entry_of(one.spec.name)]
        except UnknownName:
            found.append(RefusedSubmission(f"{path}: there is no task {one.spec.name!r} here", HINT))
            continue
        if one.spec.source_sha256 != source_digest(entry):
            found.append(RefusedSubmission(f"{path}: {one.spec.name} was asked by other code than ours", HINT))
    method = record.spec.method
    if method.name in REFERENCES and not _ours(method):
        found.append(RefusedSubmission(f"{path}: its {method.name!r} is of other code than ours", HINT))
    return found


def _ours(method: EntrySpec) -> bool:
    return method.source_sha256 == source_digest(registry.methods[method.name])
