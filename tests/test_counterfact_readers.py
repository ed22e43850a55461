"""CounterFact's files: every form and encoding says the same, and what is broken is named."""

import csv
import gzip
import hashlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from unlearnbench.counterfact import easyedit, hub, known, rome, tracing
from unlearnbench.counterfact.record import CounterFactRecord
from unlearnbench.counterfact.sources import Reading, read
from unlearnbench.counterfact.textual_lists import parse_list
from unlearnbench.errors import MissingPrerequisite, UnknownName, UsageError

ROOT = Path(__file__).parents[1]
Row = dict[str, Any]
SAME_PROMPT = (4, 5)
FACTS = [  # made up; subject, template, relation, true, new
    ("Ilka Varn", "The mother tongue of {} is", "P103", "French", "English"),
    ("K.\u00a0B. Ostrel", "{} was born in", "P19", "Port Maren", "Zürich"),
    ("Tellwick Tower", "{} is located in", "P131", "Oslo", "Lima"),
    ('O\'Brann "Red" Quill', "{}, who plays", "P413", "point guard", "left wing"),
    ("Ansbury", "What is the twin city of {}? It is", "P190", "Dorne", "Calder"),
    ("Ansbury", "What is the twin city of {}? It is", "P190", "Wexham", "Ridley"),
]


def _rome(case: int) -> Row:
    subject, template, relation, true, new = FACTS[case]
    return {
        "case_id": case,
        "pararel_idx": 100 + case,
        "requested_rewrite": {
            "prompt": template,
            "relation_id": relation,
            "target_new": {"str": new, "id": "Q2"},
            "target_true": {"str": true, "id": "Q1"},
            "subject": subject,
        },
        "paraphrase_prompts": [f"Unrelated, from the web.\n\n{subject}, it's", f'They said "so". {subject} has'],
        "neighborhood_prompts": [f"Neighbour {i} of {case} is" for i in range(3)],
        "attribute_prompts": [f"The J.\u00a0R. attribute {i} of {case} is" for i in range(3)],
        "generation_prompts": [f"{subject} {verb}" for verb in ("eats", "sings", "eats", "eats", "sings")],
    }


def _easyedit(case: int) -> Row:
    subject, template, _, true, new = FACTS[case]
    row = _rome(case)
    return {
        "case_id": case,
        "prompt": template.format(subject),
        "target_new": new,
        "subject": subject,
        "ground_truth": true,
        "rephrase_prompt": row["paraphrase_prompts"][0],
        "locality_prompt": row["neighborhood_prompts"][0],
        "locality_ground_truth": true,
    }


def _tracing(case: int) -> Row:
    """Where the subject is not the first word its form is another, as in the original."""
    subject, template, relation, true, new = FACTS[case]
    prefix, suffix = template.split("{}")
    inside = case == 0
    return {
        "relation": template,
        "relation_prefix": prefix.strip() if inside else "",
        "relation_suffix": suffix if inside else template,
        "prompt": template.format(subject),
        "relation_id": relation,
        "target_false_id": "Q2",
        "target_true_id": "Q1",
        "target_true": f" {true}",
        "target_false": f" {new}",
        "subject": f" {subject}" if inside else subject,
    }


CASES = range(len(FACTS))
MAKERS = {"rome": _rome, "easyedit": _easyedit, "tracing": _tracing}
PARSERS = {"rome": rome.ROME.parse, "easyedit": easyedit.EASYEDIT.parse, "tracing": tracing.TRACING.parse}


def _rows(form: str) -> list[Row]:
    return [MAKERS[form](case) for case in CASES]


# -- ways to write a file ------------------------------------------------------------------------------


def _write_json(path: Path, rows: Sequence[Row]) -> None:
    path.write_text(json.dumps(list(rows)), encoding="utf-8")


def _write_raw_utf8_json(path: Path, rows: Sequence[Row]) -> None:
    path.write_text(json.dumps(list(rows), ensure_ascii=False, indent=1), encoding="utf-8-sig")


def _write_json_lines(path: Path, rows: Sequence[Row]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def _write_json_gz(path: Path, rows: Sequence[Row]) -> None:
    path.write_bytes(gzip.compress(json.dumps(list(rows)).encode()))


def _write_parquet(path: Path, rows: Sequence[Row]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(list(rows)), path)


def _as_numpy_writes(texts: list[str]) -> str:
    """As `DataFrame.to_csv` does with arrays of texts: no commas, and a new line now and then."""
    return "[" + "\n ".join(map(repr, texts)) + "]"


def _write_csv(path: Path, rows: Sequence[Row]) -> None:
    plain = [{k: _as_numpy_writes(v) if isinstance(v, list) else str(v) for k, v in row.items()} for row in rows]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["Unnamed: 0", *plain[0]])
        writer.writeheader()
        writer.writerows({"Unnamed: 0": str(i), **row} for i, row in enumerate(plain))


WRITERS: dict[str, Callable[[Path, Sequence[Row]], None]] = {
    "json": _write_json,
    "raw UTF-8 json": _write_raw_utf8_json,
    "json lines": _write_json_lines,
    "json.gz": _write_json_gz,
    "parquet": _write_parquet,
    "csv": _write_csv,
}


def _sha256(path: Path) -> str:
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def _core(record: CounterFactRecord) -> tuple[Any, ...]:
    return (
        record.case_id,
        record.prompt,
        record.template,
        record.subject,
        record.target_true,
        record.target_new,
    )


# -- all forms and encodings say the same ----------------------------------------------------------------


def test_a_rome_row_becomes_a_record_with_all_its_prompts() -> None:
    (record,) = rome.ROME.parse([_rome(1)], "x")

    assert record == CounterFactRecord(
        case_id=1,
        relation_id="P19",
        subject="K.\u00a0B. Ostrel",
        template="{} was born in",
        target_true="Port Maren",
        target_new="Zürich",
        paraphrase_prompts=tuple(_rome(1)["paraphrase_prompts"]),
        neighborhood_prompts=tuple(_rome(1)["neighborhood_prompts"]),
        attribute_prompts=tuple(_rome(1)["attribute_prompts"]),
        generation_prompts=("K.\u00a0B. Ostrel eats", "K.\u00a0B. Ostrel sings"),
    )
    assert record.prompt == "K.\u00a0B. Ostrel was born in"


@pytest.mark.parametrize("form", ["easyedit", "tracing"])
def test_the_same_facts_in_another_form_have_equal_prompts_subjects_and_targets(form: str) -> None:
    expected = [_core(record) for record in rome.ROME.parse(_rows("rome"), "x")]

    assert [_core(record) for record in PARSERS[form](_rows(form), "x")] == expected


@pytest.mark.parametrize("form", MAKERS)
@pytest.mark.parametrize("writer", WRITERS)
def test_every_form_is_read_from_every_encoding_whatever_the_files_name(form: str, writer: str, tmp_path: Path) -> None:
    path = tmp_path / "facts.data"
    WRITERS[writer](path, _rows(form))

    reading = read(path)

    assert reading == Reading(PARSERS[form](_rows(form), "x"), _sha256(path), ())


def test_records_are_ordered_by_case_whatever_the_order_of_the_file(tmp_path: Path) -> None:
    _write_json(tmp_path / "forward", _rows("rome"))
    _write_json(tmp_path / "backward", _rows("rome")[::-1])

    assert read(tmp_path / "backward").records == read(tmp_path / "forward").records


def test_a_case_that_is_repeated_is_one_record_and_a_case_that_contradicts_itself_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "counterfacts.json"
    _write_json(path, [_rome(0), _rome(1), _rome(0)])
    assert [record.case_id for record in read(path).records] == [0, 1]

    _write_json(path, [_rome(0), {**_rome(1), "case_id": 0}])
    with pytest.raises(UsageError, match="case 0 occurs twice"):
        read(path)


def test_reading_does_not_load_torch(tmp_path: Path) -> None:
    _write_parquet(tmp_path / "x.parquet", _rows("rome"))
    code = (
        "import sys; from pathlib import Path; from unlearnbench.counterfact import hub, sources;"
        "loaded = [m for m in ('torch', 'datasets', 'pyarrow', 'huggingface_hub') if m in sys.modules];"
        "sources.read(Path(sys.argv[1])); print(loaded, 'torch' in sys.modules)"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "x.parquet")],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "benchmark")},
    )

    assert done.stdout.strip() == "[] False"


# -- the traps of the real files -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "texts"),
    [
        ("['a' 'b']", ("a", "b")),
        ("['a'\n 'b'\n 'c']", ("a", "b", "c")),
        ("['a, b' \"it's\" 'x] [y']", ("a, b", "it's", "x] [y")),
        ("['one\\n\\ntwo' 'J.\\xa0R. {}']", ("one\n\ntwo", "J.\u00a0R. {}")),
        ("['a', 'b']", ("a", "b")),
        ("['a', 'b',]", ("a", "b")),
        ('["a", "it\'s", "\\u00e9\\ud83d\\ude00"]', ("a", "it's", "é😀")),
        ("['only']", ("only",)),
        (" [] ", ()),
    ],
)
def test_a_list_in_a_csv_keeps_its_texts_apart(text: str, texts: tuple[str, ...]) -> None:
    assert parse_list(text) == texts


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a, b",
        "'a' 'b'",
        "['a' 'b'",
        "'a' 'b']",
        "['a 'b']",
        "['a' 'b', 'c']",
        "['a',, 'b']",
        "['a' 1]",
        "[1, 2]",
        "['a' ... 'b']",
        "[b'a' b'b']",
        "[f'a' 'b']",
        "[['a' 'b']]",
        "['a' + 'b']",
        "{'a': 'b'}",
        '{"a": "b"}',
        '["a", null]',
        "'a' if True else 'b'",
    ],
)
def test_what_is_no_list_of_texts_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"it is no list of texts|brackets or quotes"):
        parse_list(text)


def test_a_list_that_cannot_be_read_is_refused_by_row_and_field() -> None:
    rows = [_rome(0), {**_rome(1), "neighborhood_prompts": "['a' 'b', 'c']"}]

    with pytest.raises(UsageError, match="FILE, row 2: field 'neighborhood_prompts' cannot be read as a list"):
        rome.ROME.parse(rows, "FILE")


def test_a_tracing_row_is_read_by_its_relation_whether_or_not_its_prefix_is_empty() -> None:
    inside, outside = _tracing(0), _tracing(1)
    assert (inside["relation_prefix"], outside["relation_prefix"]) == ("The mother tongue of", "")
    assert inside["subject"].startswith(" ")

    records = tracing.TRACING.parse([inside, outside], "x")

    assert [record.template for record in records] == ["The mother tongue of {} is", "{} was born in"]
    assert [record.prompt for record in records] == [inside["prompt"], outside["prompt"]]
    assert [record.target_true for record in records] == ["French", "Port Maren"]


def test_a_tracing_row_whose_prompt_is_not_its_relation_is_refused() -> None:
    with pytest.raises(UsageError, match="FILE, row 2: field 'prompt' is not 'relation' with the subject"):
        tracing.TRACING.parse([_tracing(0), {**_tracing(1), "prompt": "Somebody was born in"}], "FILE")


def test_the_rows_of_tracing_are_the_cases_in_their_order() -> None:
    assert [record.case_id for record in tracing.TRACING.parse(_rows("tracing"), "x")] == list(CASES)


def test_the_order_of_keys_says_nothing() -> None:
    def alphabetic(value: Any) -> Any:
        return {key: alphabetic(value[key]) for key in sorted(value)} if isinstance(value, dict) else value

    rows = [alphabetic(row) for row in _rows("rome")]

    assert list(rows[0]["requested_rewrite"]) != list(_rome(0)["requested_rewrite"])
    assert rome.ROME.parse(rows, "x") == rome.ROME.parse(_rows("rome"), "x")


@pytest.mark.parametrize("form", MAKERS)
def test_cases_that_share_prompt_and_subject_are_all_kept(form: str, tmp_path: Path) -> None:
    _write_json(tmp_path / "x", _rows(form))

    records = {record.case_id: record for record in read(tmp_path / "x").records}

    first, second = (records[case] for case in SAME_PROMPT)
    assert (first.prompt, first.subject) == (second.prompt, second.subject)
    assert first.target_true != second.target_true


@pytest.mark.parametrize("writer", WRITERS)
def test_line_breaks_and_non_breaking_spaces_stay_in_the_text(writer: str, tmp_path: Path) -> None:
    WRITERS[writer](tmp_path / "x", _rows("rome"))

    record = read(tmp_path / "x").records[1]

    assert record.subject == "K.\u00a0B. Ostrel"
    assert record.paraphrase_prompts[0] == "Unrelated, from the web.\n\nK.\u00a0B. Ostrel, it's"
    assert record.attribute_prompts[0] == "The J.\u00a0R. attribute 0 of 1 is"


def test_generation_prompts_are_kept_once_in_their_order_and_no_other_list_is_touched() -> None:
    row = {**_rome(0), "neighborhood_prompts": ["The same is", "The same is"]}

    (record,) = rome.ROME.parse([row], "x")

    assert record.generation_prompts == ("Ilka Varn eats", "Ilka Varn sings")
    assert record.neighborhood_prompts == ("The same is", "The same is")


def test_spaces_around_subject_and_targets_are_taken_off() -> None:
    row = _rome(0)
    rewrite = {**row["requested_rewrite"], "subject": " Ilka Varn", "target_true": {"str": " French ", "id": "Q1"}}

    (record,) = rome.ROME.parse([{**row, "requested_rewrite": rewrite}], "x")

    assert (record.subject, record.target_true, record.prompt) == (
        "Ilka Varn",
        "French",
        "The mother tongue of Ilka Varn is",
    )


# -- rows that are wrong ---------------------------------------------------------------------------------


def _without(row: Row, path: str) -> Row:
    first, _, rest = path.partition(".")
    if not rest:
        return {key: value for key, value in row.items() if key != first}
    return {**row, first: _without(row[first], rest)}


READ_FIELDS = [
    *(("rome", field) for field in ("case_id", "requested_rewrite", *rome.LISTS)),
    *(("rome", f"requested_rewrite.{field}") for field in ("prompt", "relation_id", "subject", "target_true")),
    ("rome", "requested_rewrite.target_new.str"),
    *(("easyedit", field) for field in easyedit.COLUMNS),
    *(("tracing", field) for field in tracing.COLUMNS),
]


@pytest.mark.parametrize(("form", "field"), READ_FIELDS)
def test_a_field_that_is_missing_is_named_with_its_row_even_in_the_first(form: str, field: str, tmp_path: Path) -> None:
    rows = _rows(form)
    for number in (1, 3):
        path = tmp_path / f"{number}.json"
        _write_json(path, [_without(row, field) if i == number else row for i, row in enumerate(rows, start=1)])

        with pytest.raises(UsageError) as caught:
            read(path)

        assert str(caught.value) == f"{path}, row {number}: field {field!r} is missing"
        assert "has the fields" in caught.value.hint


@pytest.mark.parametrize(
    ("form", "field", "value", "complaint"),
    [
        ("rome", "case_id", "seven", "field 'case_id' must be a whole number, not 'seven'"),
        ("rome", "case_id", True, "field 'case_id' must be a whole number, not True"),
        ("rome", "case_id", 1.5, "field 'case_id' must be a whole number, not 1.5"),
        ("rome", "requested_rewrite", "{'prompt': ", "field 'requested_rewrite' must be an object with named fields"),
        ("rome", "requested_rewrite", ["x"], "field 'requested_rewrite' must be an object with named fields"),
        ("rome", "paraphrase_prompts", ["a", 1], "field 'paraphrase_prompts' must be a list of texts"),
        ("rome", "paraphrase_prompts", ["a", " "], "field 'paraphrase_prompts' must be a list of texts, none blank"),
        ("rome", "attribute_prompts", {"a": "b"}, "field 'attribute_prompts' must be a list of texts"),
        ("easyedit", "target_new", 7, "field 'target_new' must be a text, not 7"),
        ("easyedit", "target_new", " ", "field 'target_new' is blank"),
        ("easyedit", "prompt", "Nobody is", "field 'prompt' must hold the subject 'Ilka Varn' once: 'Nobody is'"),
        ("easyedit", "prompt", "Ilka Varn is Ilka Varn", "field 'prompt' must hold the subject 'Ilka Varn' once"),
        ("easyedit", "locality_ground_truth", "Greek", "field 'locality_ground_truth' is not 'ground_truth'"),
        ("easyedit", "target_new", "French", "case 0: the new target 'French' is the true one"),
        ("tracing", "relation", "The tongue is", "case 0: the prompt needs one {} for the subject: 'The tongue is'"),
        ("tracing", "target_false", None, "field 'target_false' is missing"),
    ],
)
def test_a_field_that_is_wrong_is_named_with_its_row(form: str, field: str, value: Any, complaint: str) -> None:
    with pytest.raises(UsageError) as caught:
        PARSERS[form]([{**MAKERS[form](0), field: value}], "FILE")

    assert str(caught.value).startswith(f"FILE, row 1: {complaint}")


def test_a_row_that_is_no_object_is_refused_by_its_number() -> None:
    with pytest.raises(UsageError, match="FILE, row 2: it is not an object with named fields"):
        rome.ROME.parse([_rome(0), ["x"]], "FILE")  # type: ignore[list-item]


# -- files that are wrong --------------------------------------------------------------------------------


@pytest.mark.parametrize("writer", [name for name in WRITERS if name != "csv"])
def test_a_file_that_was_cut_off_is_one_error_with_its_checksum(writer: str, tmp_path: Path) -> None:
    path = tmp_path / "facts"
    WRITERS[writer](path, _rows("rome"))
    path.write_bytes(path.read_bytes()[:-30])

    with pytest.raises(UsageError) as caught:
        read(path)

    assert str(caught.value).startswith(f"{path} is damaged (")
    assert _sha256(path) in str(caught.value)
    assert caught.value.hint == "download it again"


def test_a_csv_that_ends_within_a_quoted_field_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "facts.csv"
    _write_csv(path, _rows("rome"))
    path.write_bytes(path.read_bytes()[:-20])

    with pytest.raises(UsageError, match="is damaged \\(CSV: unexpected end of data"):
        read(path)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "it is empty"),
        (b"  \n", "it is empty"),
        (b"\x1f\x8b", "gzip: "),
        (gzip.compress(b"[]")[:-8] + b"\0" * 8, "gzip: "),
        (b"PAR1", "parquet: "),
        (b"[1, 2", "JSON: "),
        (b'{"a": 1}\n{"a": ', "JSON lines, line 2: "),
        ("[Zürich]".encode("latin-1"), "it is neither parquet nor UTF-8 text"),
        (b"<!DOCTYPE html>\n<p>Not found, sorry</p>", "it is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "it is a pointer of Git LFS"),
    ],
)
def test_what_is_damaged_is_said(data: bytes, why: str, tmp_path: Path) -> None:
    path = tmp_path / "facts"
    path.write_bytes(data)

    with pytest.raises(UsageError) as caught:
        read(path)

    assert str(caught.value).startswith(f"{path} is damaged ({why}")


def test_a_damaged_file_whose_name_is_known_is_told_both_checksums(tmp_path: Path) -> None:
    path = tmp_path / "counterfact.json"
    _write_json(path, _rows("rome"))
    path.write_bytes(path.read_bytes()[:-1])

    with pytest.raises(UsageError) as caught:
        read(path)

    assert _sha256(path) in str(caught.value)
    assert "45,108,470 bytes" in caught.value.hint
    assert "sha256:d017056125178a13728594e66a801357a8db9ed7973a7425554bb4271de9fc6f" in caught.value.hint


def test_a_readable_file_whose_name_is_known_but_not_its_checksum_is_read_with_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "counterfact.json"
    _write_json(path, _rows("rome"))

    reading = read(path)

    assert reading.records == rome.ROME.parse(_rows("rome"), "x")
    (warning,) = reading.warnings
    assert _sha256(path) in warning
    assert "sha256:d017056125178a13728594e66a801357a8db9ed7973a7425554bb4271de9fc6f" in warning


def test_a_wrong_row_in_a_file_that_is_not_the_known_one_is_told_both_checksums(tmp_path: Path) -> None:
    path = tmp_path / "counterfact.json"
    _write_json(path, [_rome(0), _without(_rome(1), "case_id")])

    with pytest.raises(UsageError, match="row 2: field 'case_id' is missing") as caught:
        read(path)

    assert _sha256(path) in caught.value.hint
    assert "sha256:d017056125178a13728594e66a801357a8db9ed7973a7425554bb4271de9fc6f" in caught.value.hint


def test_only_the_known_checksum_is_without_a_warning_and_a_size_is_enough_where_no_checksum_is_known() -> None:
    rome_file, train = known.KNOWN_FILES[0], known.KNOWN_FILES[1]
    assert rome_file.sha256 is not None

    assert known.difference("counterfact.json", rome_file.bytes, rome_file.sha256) == ""
    assert known.difference("renamed.json", rome_file.bytes, rome_file.sha256) == ""
    assert known.difference("renamed.json", rome_file.bytes, "sha256:0") != ""
    assert known.difference("counterfact.json", rome_file.bytes, "sha256:0") != ""
    assert known.difference("counterfact.json", 7, "sha256:0") != ""
    assert known.difference(train.name, train.bytes, "sha256:0") == ""
    assert known.difference(train.name, 7, "sha256:0") != ""
    assert known.difference("another.json", 7, "sha256:0") == ""


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([{"question": "?", "target_true": "a", "targets_false": ["b"], "prompt_id": 0}]),
        json.dumps({"train": [_rome(0)]}),
        json.dumps([1, 2]),
        "athlete,sport\nAnn Lee,golf\n",
    ],
)
def test_a_form_that_is_not_known_is_refused_with_the_three_that_are(text: str, tmp_path: Path) -> None:
    path = tmp_path / "facts"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(UsageError, match="is in no form of CounterFact that is known") as caught:
        read(path)

    for column in ("requested_rewrite", "locality_ground_truth", "target_false"):
        assert column in caught.value.hint


def test_a_file_without_rows_and_a_file_that_is_not_there_are_refused(tmp_path: Path) -> None:
    _write_json(tmp_path / "none.json", [])

    with pytest.raises(UsageError, match="holds no rows"):
        read(tmp_path / "none.json")
    with pytest.raises(UsageError, match="there is no such file or folder"):
        read(tmp_path / "absent.json")


# -- folders ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("below", ["data", "."])
@pytest.mark.parametrize("form", ["rome", "tracing"])
def test_a_folder_from_the_hub_is_its_parquet_files_train_before_test(below: str, form: str, tmp_path: Path) -> None:
    (tmp_path / below).mkdir(exist_ok=True)
    _write_parquet(tmp_path / below / "train-00000-of-00001-0f.parquet", _rows(form)[:4])
    _write_parquet(tmp_path / below / "test-00000-of-00001-0a.parquet", _rows(form)[4:])
    (tmp_path / "README.md").write_text("a card", encoding="utf-8")

    assert read(tmp_path).records == PARSERS[form](_rows(form), "x")


def test_a_folder_may_hold_romes_file_or_easyedits_three(tmp_path: Path) -> None:
    for name, cases in {"train": [1, 2], "edit": [0], "val": [3, 4, 5]}.items():
        _write_json_gz(tmp_path / f"counterfact-{name}.json.gz", [_easyedit(case) for case in cases])
    assert read(tmp_path).records == easyedit.EASYEDIT.parse(_rows("easyedit"), "x")

    _write_json(tmp_path / "counterfact.json", _rows("rome"))
    assert read(tmp_path).records == rome.ROME.parse(_rows("rome"), "x")


def test_the_checksum_of_a_folder_changes_with_any_of_its_files(tmp_path: Path) -> None:
    train, test = tmp_path / "train.parquet", tmp_path / "test.parquet"
    _write_parquet(train, _rows("rome")[:3])
    _write_parquet(test, _rows("rome")[3:5])
    before = read(tmp_path).sha256

    _write_parquet(test, _rows("rome")[3:])

    assert read(tmp_path).sha256 != before
    assert before.startswith("sha256:")


def test_a_folder_with_several_forms_or_with_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no CounterFact file"):
        read(tmp_path)

    _write_parquet(tmp_path / "a.parquet", _rows("rome"))
    _write_parquet(tmp_path / "b.parquet", _rows("tracing"))
    with pytest.raises(UsageError, match="files of different forms") as caught:
        read(tmp_path)
    assert caught.value.hint == "give one of a.parquet, b.parquet"


# -- the hub ---------------------------------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub's files."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def _online(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{port}")


def _small(monkeypatch: pytest.MonkeyPatch, name: str) -> hub.HubSet:
    """The set, as if it had as many cases as there are made-up facts."""
    original = hub.HUB_SETS[name]
    small = hub.HubSet(original.repository, original.revision, cases=len(FACTS))
    monkeypatch.setitem(hub.HUB_SETS, name, small)
    return small


def _snapshot(cache: Path, hub_set: hub.HubSet, rows: Sequence[Row]) -> Path:
    """A cached copy, laid out as `huggingface_hub` does."""
    name = "datasets--" + hub_set.repository.replace("/", "--")
    folder = cache / name / "snapshots" / hub_set.revision
    (folder / "data").mkdir(parents=True)
    _write_parquet(folder / "data" / "test-00000-of-00001.parquet", rows[4:])
    _write_parquet(folder / "data" / "train-00000-of-00001.parquet", rows[:4])
    return folder


def test_every_set_is_pinned_to_a_commit() -> None:
    assert set(hub.HUB_SETS) == {"azhx", "tracing"}
    for hub_set in hub.HUB_SETS.values():
        assert len(hub_set.revision) == 40
        assert int(hub_set.revision, 16) > 0


@pytest.mark.parametrize(("name", "form"), [("azhx", "rome"), ("tracing", "tracing")])
def test_a_cached_set_is_read_without_a_network(
    name: str, form: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _snapshot(cache, _small(monkeypatch, name), _rows(form))

    reading = hub.download(name)

    assert reading == read(folder)
    assert reading.records == PARSERS[form](_rows(form), "x")
    assert reading.warnings == ()


def test_offline_another_revision_than_the_pinned_one_does_not_stand_in_for_it(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinned = _small(monkeypatch, "azhx")
    _snapshot(cache, hub.HubSet(pinned.repository, "0" * 40), _rows("rome"))

    with pytest.raises(MissingPrerequisite, match="neither cached nor"):
        hub.download("azhx")


def test_a_cached_copy_that_is_not_complete_is_not_used(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _snapshot(cache, _small(monkeypatch, "azhx"), _rows("rome"))
    (folder / "data" / "test-00000-of-00001.parquet").unlink()

    with pytest.raises(MissingPrerequisite, match="neither cached nor"):
        hub.download("azhx")


@pytest.mark.parametrize("name", ["azhx", "tracing"])
def test_in_offline_mode_a_set_that_is_not_cached_is_one_error_that_names_the_local_file(
    name: str, cache: Path
) -> None:
    with pytest.raises(MissingPrerequisite, match=hub.HUB_SETS[name].repository) as caught:
        hub.download(name)

    assert "--facts_file PATH" in caught.value.hint
    assert "\n" not in str(caught.value)


def test_a_hub_that_refuses_the_connection_is_one_error_at_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        _online(monkeypatch, closed.getsockname()[1])
        begun = time.monotonic()

        with pytest.raises(MissingPrerequisite, match="neither cached nor to be had from the hub"):
            hub.download("azhx")

    assert time.monotonic() - begun < 10


def test_a_hub_that_never_answers_is_given_up_after_the_patience(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "PATIENCE_S", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        _online(monkeypatch, silent.getsockname()[1])
        begun = time.monotonic()

        with pytest.raises(MissingPrerequisite, match="neither cached nor to be had from the hub"):
            hub.download("azhx")

    assert time.monotonic() - begun < 10


def test_what_was_fetched_is_read_and_a_count_that_was_not_expected_is_a_warning(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def fetch(repository: str, *, local_files_only: bool, revision: str, **others: Any) -> str:
        from huggingface_hub.errors import LocalEntryNotFoundError

        asked.append((repository, revision, local_files_only))
        if local_files_only:
            raise LocalEntryNotFoundError("not cached")
        return str(_snapshot(tmp_path / "fetched", hub.HUB_SETS["azhx"], _rows("rome")))

    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", lambda *args, **kwargs: None)
    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)

    reading = hub.download("azhx")

    assert reading.records == rome.ROME.parse(_rows("rome"), "x")
    assert asked == [("azhx/counterfact", hub.HUB_SETS["azhx"].revision, cached) for cached in (True, False)]
    assert reading.warnings == ("azhx/counterfact@c01c413 has 6 cases where 21,919 were expected",)


def test_a_set_that_does_not_exist_is_named_with_the_nearest() -> None:
    with pytest.raises(UnknownName) as caught:
        hub.download("tracin")

    assert caught.value.hint == "did you mean 'tracing'? there is: azhx, tracing"


# -- the real files --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real() -> Callable[[str], Reading]:
    """Reads one of the real files; each once."""
    folder = os.environ.get("UNLEARNBENCH_TEST_DATA")
    if not folder:
        pytest.skip("UNLEARNBENCH_TEST_DATA, a folder with counterfact/, is not set")
    found: dict[str, Reading] = {}

    def reading(name: str) -> Reading:
        if name not in found:
            found[name] = read(Path(folder) / "counterfact" / name)
        return found[name]

    return reading


ROME_200, ROME_5607 = "rome_format_first200.json", "rome_format_5607.parquet"
EASYEDIT_VAL, TRACING_ALL = "counterfact-val.json.gz", "tracing_21919.parquet"


@pytest.mark.parametrize(
    ("name", "count"), [(ROME_200, 200), (ROME_5607, 5_607), (EASYEDIT_VAL, 1_919), (TRACING_ALL, 21_919)]
)
def test_all_rows_of_a_real_file_load(real: Callable[[str], Reading], name: str, count: int) -> None:
    reading = real(name)

    cases = [record.case_id for record in reading.records]
    assert len(cases) == count
    assert cases == sorted(set(cases))
    assert reading.warnings == ()


@pytest.mark.parametrize("name", [ROME_200, ROME_5607, EASYEDIT_VAL])
def test_real_files_of_two_forms_agree_on_every_case_they_share(real: Callable[[str], Reading], name: str) -> None:
    everything = {record.case_id: record for record in real(TRACING_ALL).records}

    for record in real(name).records:
        assert _core(record) == _core(everything[record.case_id])
        if name != EASYEDIT_VAL:
            assert record.relation_id == everything[record.case_id].relation_id


def test_the_two_real_files_of_romes_form_agree_in_everything(real: Callable[[str], Reading]) -> None:
    larger = {record.case_id: record for record in real(ROME_5607).records}
    shared = [record for record in real(ROME_200).records if record.case_id in larger]

    assert shared
    assert all(record == larger[record.case_id] for record in shared)


def test_real_rome_records_have_two_paraphrases_ten_neighbours_and_no_generation_prompt_twice(
    real: Callable[[str], Reading],
) -> None:
    for record in real(ROME_5607).records:
        assert (len(record.paraphrase_prompts), len(record.neighborhood_prompts)) == (2, 10)
        assert 2 <= len(record.generation_prompts) == len(set(record.generation_prompts)) <= 3


def test_real_rows_through_a_csv_as_the_papers_release_had_them_come_out_the_same(
    real: Callable[[str], Reading], tmp_path: Path
) -> None:
    source = Path(os.environ["UNLEARNBENCH_TEST_DATA"]) / "counterfact" / ROME_200
    rows = json.loads(source.read_text(encoding="utf-8"))
    _write_csv(tmp_path / "counterfact.csv", rows)

    assert read(tmp_path / "counterfact.csv").records == real(ROME_200).records
