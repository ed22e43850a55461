"""MMLU's data (Hendrycks et al. 2021, arXiv 2009.03300), from the hub or from a folder.

Nothing is read through pandas, which takes a choice called "NA" or "None" for a gap.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from unlearnbench.counterfact.encodings import Damaged, rows_in
from unlearnbench.errors import MissingPrerequisite, UsageError
from unlearnbench.hashing import content_hash, file_hash
from unlearnbench.layouts import LETTERS as LABELS

HUB = "cais/mmlu"
REVISION = "c30699e8356da336a370243923dbaf21066bb9fe"
CHOICES = 4
LETTERS = LABELS[:CHOICES]
SPLITS = ("test", "dev")
NOT_SUBJECTS = ("all", "auxiliary_train")


class Question(NamedTuple):
    """One question: four choices, and which of them is right."""

    question: str
    choices: tuple[str, ...]
    answer: int


Exam = Mapping[str, Sequence[Question]]
"""`test` and `dev`, whose first five questions are the examples of a 5-shot prompt."""


def read_folder(folder: Path) -> dict[str, Exam]:
    """The exams of a folder by subject.

    Layouts: the hub's (`<subject>/test-00000-of-00001.parquet`) and the authors' (`test/<subject>_test.csv`,
    with a header or without). Raises `UsageError` naming file, row and field of what is wrong.
    """
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder} with MMLU's data")
    found: dict[str, dict[str, Sequence[Question]]] = {}
    for split in SPLITS:
        for path in sorted(folder.glob(f"*/{split}-*.parquet")):
            if path.parent.name not in NOT_SUBJECTS:
                exam = found.setdefault(path.parent.name, {})
                exam[split] = [*exam.get(split, ()), *_parquet(path)]
        for path in sorted(folder.glob(f"{split}/*_{split}.csv")):
            subject = path.name.removesuffix(f"_{split}.csv")
            found.setdefault(subject, {}).update({split: _csv(path)})
    for subject, exam in found.items():
        missing = [split for split in SPLITS if not exam.get(split)]
        if missing:
            raise UsageError(f"{folder}: {subject} has no questions in {missing[0]}")
    if not found:
        raise UsageError(
            f"{folder} holds no MMLU data",
            "the layouts are SUBJECT/test-00000-of-00001.parquet and test/SUBJECT_test.csv, the same for dev",
        )
    exams: dict[str, Exam] = {subject: found[subject] for subject in sorted(found)}
    return exams


def exam_digest(exams: Mapping[str, Exam]) -> str:
    """Digest over all questions."""
    return content_hash({name: {split: list(qs) for split, qs in exam.items()} for name, exam in exams.items()})


def folder_digest(folder: Path) -> str:
    """Digest over the names and digests of all data files of a folder."""
    files = sorted((*folder.glob("*/*.parquet"), *folder.glob("*/*.csv")))
    return content_hash({path.relative_to(folder).as_posix(): file_hash(path) for path in files})


def read_hub(subjects: Iterable[str]) -> dict[str, Exam]:
    """The exams of these subjects from the hub at a pinned revision, or from its cache.

    Raises `MissingPrerequisite` where neither has them.
    """
    import datasets

    from unlearnbench.lm_eval_bridge.data import datasets_found

    found: dict[str, Exam] = {}
    with datasets_found({}):  # at once where the hub is out of reach, not after half a minute of retries
        for subject in subjects:
            try:
                splits = {
                    split: datasets.load_dataset(HUB, subject, split=split, revision=REVISION) for split in SPLITS
                }
            except MissingPrerequisite as error:
                raise MissingPrerequisite(
                    f"{HUB} is neither cached nor reachable", "go online once, or name a folder: mmlu[folder=FOLDER]"
                ) from error
            found[subject] = {name: _questions(rows, f"{HUB} {subject} {name}") for name, rows in splits.items()}
    return found


def _parquet(path: Path) -> list[Question]:
    try:
        rows = rows_in(path.read_bytes())
    except (Damaged, OSError) as error:
        raise UsageError(f"{path} is damaged: {error}", "download it again") from None
    return _questions(rows, str(path))


def _csv(path: Path) -> list[Question]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            rows = list(csv.reader(lines))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} is damaged: {error}", "download it again") from None
    if rows and rows[0] and rows[0][0].strip().lower() == "question":
        rows = rows[1:]
    parsed = []
    for number, row in enumerate(rows):
        if len(row) != CHOICES + 2:
            raise UsageError(f"{path}, row {number}: {len(row)} fields; there should be {CHOICES + 2}")
        answer = row[-1].strip()
        parsed.append(
            {
                "question": row[0],
                "choices": row[1:-1],
                "answer": LETTERS.index(answer) if len(answer) == 1 and answer in LETTERS else _whole(answer),
            }
        )
    return _questions(parsed, str(path))


def _whole(text: str) -> int | str:
    return int(text) if text.isdecimal() else text


def _questions(rows: Iterable[Mapping[str, Any]], where: str) -> list[Question]:
    found = []
    for number, row in enumerate(rows):
        question, choices, answer = row.get("question"), row.get("choices"), row.get("answer")
        if not isinstance(question, str) or not question.strip():
            raise UsageError(f"{where}, row {number}: the field 'question' is {question!r}, not a text")
        if not isinstance(choices, list | tuple) or len(choices) != CHOICES:
            raise UsageError(f"{where}, row {number}: the field 'choices' is {choices!r}, not {CHOICES} texts")
        for choice in choices:
            if not isinstance(choice, str):
                raise UsageError(
                    f"{where}, row {number}: the field 'choices' holds {choice!r}, not a text",
                    "a reader took a choice such as 'NA', 'None' or '0' for something else; read it as text",
                )
        if not isinstance(answer, int) or not 0 <= answer < CHOICES:
            raise UsageError(f"{where}, row {number}: the field 'answer' is {answer!r}, not 0 to {CHOICES - 1}")
        found.append(Question(question, tuple(choices), answer))
    return found
