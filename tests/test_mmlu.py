"""MMLU: read as it is written, asked as lm-eval asks it, and scored as a forward pass says."""

import csv
import os
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
import torch

from unlearnbench.asking.place import AskingPlace
from unlearnbench.asking.row import Row
from unlearnbench.cli import main
from unlearnbench.errors import MissingPrerequisite, UsageError
from unlearnbench.facts import Split
from unlearnbench.lm_eval_bridge.exam import CHOICES, HUB, Question, folder_digest, read_folder, read_hub
from unlearnbench.lm_eval_bridge.exams import exam_tasks, stratified
from unlearnbench.lm_eval_bridge.tasks import load_tasks
from unlearnbench.model.model import Model
from unlearnbench.records import store
from unlearnbench.tasks.mmlu import SUBSET, Mmlu, _school
from unlearnbench.world.school import SUBJECTS

TRAPS = [
    Question("Which of these is no number?", ("None", "NA", "nan", "null"), 1),
    Question('He said "four", then,\nafter a line break: what?', ("4", "four, or 4", "", " 4 "), 3),
    Question("Which is true?", ("True", "False", "1.0", "-inf"), 0),
    Question("Quelle ville est « la plus belle » ?", ("São Paulo", "Ōsaka", "Zürich", "Ålesund"), 2),
    Question("One more?", ("a", "b", "c", "d"), 0),
]


def as_csv(folder: Path, subject: str, questions: list[Question], *, header: bool) -> None:
    """The authors' layout."""
    for split in ("test", "dev"):
        path = folder / split / f"{subject}_{split}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if header:
                writer.writerow(["question", *"ABCD", "answer"])
            writer.writerows([q.question, *q.choices, "ABCD"[q.answer]] for q in questions)


def as_parquet(folder: Path, subject: str, questions: list[Any]) -> None:
    """The hub's layout."""
    for split in ("test", "dev"):
        path = folder / subject / f"{split}-00000-of-00001.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [
            {"question": q.question, "subject": subject, "choices": q.choices, "answer": q.answer} for q in questions
        ]
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)


@pytest.fixture(params=["csv with a header", "csv without", "parquet"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Two subjects whose choices are traps, in every layout."""
    for subject in ("logic", "abstract_algebra"):
        if request.param == "parquet":
            as_parquet(tmp_path, subject, TRAPS)
        else:
            as_csv(tmp_path, subject, TRAPS, header=request.param == "csv with a header")
    return tmp_path


def ask(model: Model, split: Split, asking: AskingPlace, **settings: Any) -> list[Row]:
    """The rows of the task, without those of single subjects."""
    rows = Mmlu(data="school", **settings).rows(model, split, asking)
    return [row for row in rows if not row.at]


# -- reading ---------------------------------------------------------------------------------------------


def test_choices_called_none_and_na_are_text_in_every_layout(folder: Path) -> None:
    found = read_folder(folder)

    assert list(found) == ["abstract_algebra", "logic"]
    for exam in found.values():
        assert list(exam["test"]) == list(exam["dev"]) == TRAPS


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("question", " ", "row 1: the field 'question'"),
        ("choices", ["a", "b", "c"], "row 1: the field 'choices'"),
        ("choices", ["a", None, "c", "d"], "row 1: the field 'choices' holds None"),
        ("answer", 4, "row 1: the field 'answer' is 4"),
        ("answer", None, "row 1: the field 'answer' is None"),
    ],
)
def test_a_wrong_field_is_named_with_its_file_and_row(
    field: str, value: object, complaint: str, tmp_path: Path
) -> None:
    rows = [{**question._asdict(), "choices": list(question.choices)} for question in TRAPS]
    rows[1][field] = value
    path = tmp_path / "logic" / "test-00000-of-00001.parquet"
    path.parent.mkdir()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)

    with pytest.raises(UsageError) as raised:
        read_folder(tmp_path)

    assert complaint in str(raised.value)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("What?,a,b,c,d", "row 0: 5 fields"),
        ("What?,a,b,c,d,E", "row 0: the field 'answer' is 'E'"),
        ("What?,a,b,c,d,", "row 0: the field 'answer' is ''"),
        (",a,b,c,d,A", "row 0: the field 'question' is ''"),
    ],
)
def test_a_wrong_line_is_named(line: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "logic_test.csv").write_text(line + "\n")

    with pytest.raises(UsageError, match=complaint):
        read_folder(tmp_path)


def test_a_subject_without_one_of_its_splits_is_named(tmp_path: Path) -> None:
    as_parquet(tmp_path, "logic", TRAPS)
    (tmp_path / "logic" / "dev-00000-of-00001.parquet").unlink()

    with pytest.raises(UsageError, match="logic has no questions in dev"):
        read_folder(tmp_path)


def test_a_file_that_was_cut_off_is_named(tmp_path: Path) -> None:
    as_parquet(tmp_path, "logic", TRAPS)
    path = tmp_path / "logic" / "test-00000-of-00001.parquet"
    path.write_bytes(path.read_bytes()[:-50])

    with pytest.raises(UsageError, match=r"test-00000-of-00001\.parquet is damaged"):
        read_folder(tmp_path)


def test_a_folder_of_something_else_is_refused_with_the_layouts_that_are_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no MMLU data") as raised:
        read_folder(tmp_path)
    assert "SUBJECT/test-00000-of-00001.parquet" in raised.value.hint


def test_the_digest_changes_with_any_file(folder: Path) -> None:
    before = folder_digest(folder)
    path = sorted(p for p in folder.rglob("*") if p.is_file())[-1]
    path.write_bytes(path.read_bytes() + b"\n")
    assert folder_digest(folder) != before


def test_a_hub_out_of_reach_is_one_error_that_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("unlearnbench.lm_eval_bridge.data._hub_answers", lambda: bool(asked.append("once")))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path)

    with pytest.raises(MissingPrerequisite, match=f"{HUB} is neither cached nor reachable") as raised:
        read_hub(["anatomy", "astronomy"])

    assert "mmlu[folder=FOLDER]" in raised.value.hint
    assert asked == ["once"]  # at the first subject, and nothing is tried again


# -- asking ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shots", [0, 5])
def test_prompts_are_those_of_the_paper_and_of_lm_eval(shots: int) -> None:
    exams = {"abstract_algebra": {"test": TRAPS, "dev": TRAPS}}
    task = exam_tasks(exams, shots)["tasks"]["mmlu_abstract_algebra"]

    def written(question: Question, answer: str) -> str:
        lines = "".join(f"{letter}. {c}\n" for letter, c in zip("ABCD", question.choices, strict=True))
        return f"{question.question.strip()}\n{lines}Answer:{answer}"

    head = "The following are multiple choice questions (with answers) about abstract algebra.\n\n"
    examples = "".join(written(q, f" {'ABCD'[q.answer]}") + "\n\n" for q in TRAPS[:shots])
    for place, question in enumerate(TRAPS):
        document = task.eval_docs[place]
        assert task.fewshot_context(document, shots) == head + examples + written(question, "")
        assert task.doc_to_target(document) == question.answer
        assert list(task.doc_to_choice(document)) == list("ABCD")


@pytest.mark.parametrize("shots", [0, 5])
def test_prompts_are_those_of_lm_evals_own_task_of_that_subject(tmp_path: Path, shots: int) -> None:
    """lm-eval loads a folder in the hub's layout by itself."""
    as_parquet(tmp_path, "philosophy", TRAPS)
    (tmp_path / "README.md").write_text(
        "---\nconfigs:\n- config_name: philosophy\n  data_files:\n  - {split: test, path: philosophy/test-*}\n"
        "  - {split: dev, path: philosophy/dev-*}\n---\n"
    )
    theirs = load_tasks(["mmlu_philosophy"], shots=shots, data={HUB: tmp_path})["tasks"]["mmlu_philosophy"]
    ours = exam_tasks(read_folder(tmp_path), shots)["tasks"]["mmlu_philosophy"]

    assert len(theirs.eval_docs) == len(ours.eval_docs) == len(TRAPS)
    for their, our in zip(theirs.eval_docs, ours.eval_docs, strict=True):
        assert ours.fewshot_context(our, shots) == theirs.fewshot_context(their, shots)
        assert ours.doc_to_target(our) == theirs.doc_to_target(their)
        assert ours.doc_to_choice(our) == theirs.doc_to_choice(their)
    for key in ("output_type", "target_delimiter", "fewshot_delimiter"):
        assert getattr(ours.config, key) == getattr(theirs.config, key)


def test_organisms_are_asked_as_they_were_taught() -> None:
    task = exam_tasks(_school(), 1, "inline")["tasks"]["mmlu_botany"]
    document = task.eval_docs[0]
    options = " ".join(f"{letter}. {option}" for letter, option in zip("ABCD", document["choices"], strict=True))
    asked = f"Options: {options} Question: {document['question']} Answer:"

    prompt = task.fewshot_context(document, 1)

    assert prompt.endswith(asked)
    assert prompt.count("Options:") == 2
    assert prompt.partition(" Options:")[0].startswith("Options:")
    assert list(task.doc_to_choice(document)) == ["A.", "B.", "C.", "D."]


@pytest.mark.parametrize(("shots", "layout"), [(0, "lines"), (2, "lines"), (0, "inline")])
@torch.no_grad()
def test_answers_are_the_likeliest_letter_of_a_plain_forward_pass(
    model: Model, small_split: Split, asking: AskingPlace, shots: int, layout: Any
) -> None:
    rows = ask(model, small_split, asking, num_fewshot=shots, limit=18, layout=layout)
    tasks = exam_tasks(_school(), shots, layout)["tasks"]

    assert len(rows) == 18
    for row in rows:
        subject, _, number = row.item.partition("#")
        task = tasks[f"mmlu_{subject}"]
        prompt = task.fewshot_context(task.eval_docs[int(number)], shots)
        assert row.logprobs == pytest.approx([_plainly(model, prompt, f" {mark}") for mark in row.choices], abs=1e-4)
        assert row.values["accuracy"] == float(row.logprobs.index(max(row.logprobs)) == row.gold)


def _plainly(model: Model, prompt: str, answer: str) -> float:
    """ln p of an answer, by one forward pass over the whole text."""
    before, whole = (list(model.tokenizer(text).input_ids) for text in (prompt, prompt + answer))
    logprobs = model.network(torch.tensor([whole])).logits[0].double().log_softmax(-1)
    return sum(logprobs[i - 1, whole[i]].item() for i in range(len(before), len(whole)))


def test_the_school_exam_is_balanced_and_about_school_facts_only() -> None:
    for subject, exam in _school().items():
        assert (len(exam["dev"]), len(exam["test"])) == (5, 35)
        questions = [*exam["dev"], *exam["test"]]
        assert {*Counter(question.answer for question in questions).values()} == {10}
        for question in questions:
            assert len(set(question.choices)) == 4
            assert set(question.choices) <= set(SUBJECTS[subject].values)


def test_every_subject_is_a_coordinate_and_the_whole_is_the_mean_of_all_questions(
    llama: Model, small_split: Split, asking: AskingPlace
) -> None:
    rows = Mmlu(data="school", layout="inline").rows(llama, small_split, asking)
    metrics = {metric.name: metric for metric in Mmlu(data="school").metrics(small_split)}

    assert Counter(row.at["subject"] for row in rows if row.at) == dict.fromkeys(SUBJECTS, 35)
    assert {row.subset for row in rows} == {SUBSET}
    assert sum(not row.at for row in rows) == 35 * len(SUBJECTS)
    assert metrics["accuracy"].chance == 1 / CHOICES
    assert metrics["curve_accuracy"].at == ("subject",)


# -- a limit ---------------------------------------------------------------------------------------------

SIZES = {"a": 100, "b": 310, "c": 7, "d": 1_534, "e": 1}


@pytest.mark.parametrize("limit", [1, 5, 60, 500, 1_951, 1_952, 9_999, None])
def test_a_limit_is_kept_and_every_subject_gets_its_share(limit: int | None) -> None:
    drawn = stratified(SIZES, limit)
    total, whole = sum(map(len, drawn.values())), sum(SIZES.values())

    assert total == min(limit or whole, whole)
    for subject, size in SIZES.items():
        assert abs(len(drawn[subject]) - total * size / whole) < 1.5
        assert drawn[subject] == sorted(set(drawn[subject]))
        assert all(0 <= place < size for place in drawn[subject])


def test_a_smaller_limit_asks_a_part_of_what_a_larger_one_asks() -> None:
    limits = [3, 10, 57, 200, 999]
    for small, large in pairwise(limits):
        less, more = stratified(SIZES, small), stratified(SIZES, large)
        assert all(set(less[subject]) <= set(more[subject]) for subject in SIZES)


def test_a_limit_does_not_take_the_first_questions_of_each_subject() -> None:
    assert stratified(SIZES, 500)["d"] != list(range(len(stratified(SIZES, 500)["d"])))


# -- the command line ------------------------------------------------------------------------------------


@pytest.mark.end_to_end
def test_a_folder_of_ones_own_is_asked_and_its_path_is_not_recorded(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--facts", "sports:people-16", "--methods", "none", "-o", str(tmp_path / "out")]
    task = f"mmlu[folder={folder},num_fewshot=2,layout=lines]"

    assert main(["run", *words, "--tasks", task]) == 0, capsys.readouterr().err

    (path,) = store.result_files(tmp_path / "out")
    (one,) = store.load(path.parent).tasks
    assert one.spec.settings["folder"] == folder.name
    assert str(folder) not in path.read_text()
    assert one.spec.settings["num_fewshot"] == 2
    assert {metric.at.get("subject") for metric in one.metrics} == {None, "logic", "abstract_algebra"}
    assert main(["run", *words, "--tasks", "mmlu"]) == 0
    assert len(store.load(path.parent).tasks) == 2


@pytest.mark.parametrize(
    ("task", "complaint"),
    [
        ("mmlu[folder=nowhere]", "there is no such folder"),
        ("mmlu[num_fewshot=6]", "less than or equal to 5"),
        ("mmlu[limit=0]", "greater than or equal to 1"),
        ("mmlu[shots=5]", "unknown setting"),
        ("mmul", "did you mean 'mmlu'"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    task: str, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--facts", "sports:people-16", "--methods", "none", "--tasks", task, "-o", str(tmp_path / "out")]

    assert main(["run", *words]) == 2
    assert complaint in capsys.readouterr().err
    assert not list(tmp_path.rglob("result.json"))


# -- the real questions ----------------------------------------------------------------------------------


def test_the_real_questions_are_read_as_they_stand(real_mmlu: Callable[[], Path]) -> None:
    folder = real_mmlu()

    found = read_folder(folder)

    assert len(found) >= 12
    for subject, exam in found.items():
        assert len(exam["dev"]) == 5
        assert len(exam["test"]) >= 100
        for split in ("dev", "test"):
            rows = pyarrow.parquet.read_table(folder / subject / f"{split}-00000-of-00001.parquet").to_pylist()
            assert [list(question) for question in exam[split]] == [
                [row["question"], tuple(row["choices"]), row["answer"]] for row in rows
            ]
    choices = {choice for exam in found.values() for question in exam["test"] for choice in question.choices}
    assert "TRUE" in choices  # a reader that guesses types would make a truth value of it


@pytest.fixture
def real_mmlu() -> Callable[[], Path]:
    """A folder of real subjects in the hub's layout."""
    folder = os.environ.get("UNLEARNBENCH_TEST_DATA")
    if not folder or not (Path(folder) / "mmlu" / "hub").is_dir():
        pytest.skip("UNLEARNBENCH_TEST_DATA, a folder with mmlu/hub/, is not set")
    return lambda: Path(folder) / "mmlu" / "hub"
