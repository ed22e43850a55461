"""Reading CounterFact from a file or a folder, in whichever form and encoding it is."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unlearnbench.counterfact.easyedit import EASYEDIT
from unlearnbench.counterfact.encodings import Damaged, rows_in
from unlearnbench.counterfact.form import Form
from unlearnbench.counterfact.known import difference, known_file
from unlearnbench.counterfact.record import CounterFactRecord
from unlearnbench.counterfact.rome import ROME
from unlearnbench.counterfact.tracing import TRACING
from unlearnbench.errors import UsageError
from unlearnbench.hashing import bytes_hash, content_hash

FORMS = (ROME, EASYEDIT, TRACING)
SHAPES = "; ".join(f"{form.name} has {', '.join(form.columns)}" for form in FORMS)
PATTERNS = ("data/*.parquet", "*.parquet", "counterfact.json", "counterfact-*.json", "counterfact-*.json.gz")
"""What a folder is searched for; the first that is there is read."""
SPLITS = ("train", "test")


@dataclass(frozen=True)
class Reading:
    """What was read."""

    records: tuple[CounterFactRecord, ...]
    """By case; each case once."""
    sha256: str
    """Of the file's bytes; of a folder, of the names and checksums of its files."""
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _File:
    name: str
    rows: list[Any]
    form: Form
    sha256: str
    warning: str


def read(path: Path) -> Reading:
    """The records of a file, or of a folder as the hub gives it; rows are counted through a folder's files."""
    files = [_file(part) for part in _parts(path)]
    form = files[0].form
    if any(file.form is not form for file in files):
        raise UsageError(f"{path} holds files of different forms", f"give one of {', '.join(f.name for f in files)}")
    warnings = tuple(f"{path}: {file.name} is not the known one: {file.warning}" for file in files if file.warning)
    try:
        records = form.parse([row for file in files for row in file.rows], str(path))
    except UsageError as error:
        raise UsageError(str(error), "; ".join([*warnings, error.hint])) from None
    one = len(files) == 1
    sha256 = files[0].sha256 if one else content_hash({file.name: file.sha256 for file in files})
    return Reading(_in_order(records, path), sha256, warnings)


def _parts(path: Path) -> Sequence[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise UsageError(f"{path}: there is no such file or folder")
    for pattern in PATTERNS:
        if found := sorted(path.glob(pattern), key=_split_and_name):
            return found
    raise UsageError(f"the folder {path} holds no CounterFact file", f"it is searched for {', '.join(PATTERNS)}")


def _split_and_name(path: Path) -> tuple[int, str]:
    split = path.name.split("-")[0].removesuffix(path.suffix)
    return (SPLITS.index(split) if split in SPLITS else len(SPLITS)), path.name


def _file(path: Path) -> _File:
    data = path.read_bytes()
    sha256 = bytes_hash(data)
    try:
        rows = rows_in(data)
    except Damaged as error:
        known = known_file(path.name, len(data))
        hint = f"download it again{f'; it should be {known}' if known else ''}"
        raise UsageError(f"{path} is damaged ({error}); it has {len(data):,} bytes and {sha256}", hint) from None
    if not rows:
        raise UsageError(f"{path} holds no rows", SHAPES)
    return _File(path.name, rows, _form(rows[0], path), sha256, difference(path.name, len(data), sha256))


def _form(first: Any, path: Path) -> Form:
    columns: Iterable[object] = first if isinstance(first, Mapping) else ()
    form = max(FORMS, key=lambda form: form.likeness(columns))
    if form.likeness(columns) <= 0.5:
        has = ", ".join(map(str, columns)) or "no named fields"
        raise UsageError(f"{path} is in no form of CounterFact that is known: its first row has {has[:200]}", SHAPES)
    return form


def _in_order(records: Iterable[CounterFactRecord], path: Path) -> tuple[CounterFactRecord, ...]:
    cases: dict[int, CounterFactRecord] = {}
    for record in records:
        if cases.setdefault(record.case_id, record) != record:
            raise UsageError(f"{path}: case {record.case_id} occurs twice and says different things")
    return tuple(cases[case] for case in sorted(cases))
