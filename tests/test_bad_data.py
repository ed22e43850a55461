"""Bad data at the command line: one error that names the file, the row or the way out, and nothing written."""

import csv
import gzip
import hashlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from unlearnbench.cli import main
from unlearnbench.counterfact import known
from unlearnbench.tasks.facts import counterfact

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning:lm_eval.*")

Order = Callable[..., tuple[int, list[str]]]
COUNTERFACT = ["--facts", "counterfact:4[least_probability=0]", "--tasks", "counterfact/forget"]
SPORTS = ["--facts", "sports:athletes-16", "--tasks", "sports/forget"]


@pytest.fixture
def order(
    saved_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Order:
    """`unlearnbench run` on a saved random model; the exit code and the lines of the error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNLEARNBENCH_CACHE", str(tmp_path / "cache"))

    def perform(*words: str, model: Path | str = saved_model, retain: str | None = "world") -> tuple[int, list[str]]:
        text = [] if retain is None else ["--retain_text", retain]
        options = ["--model", "hf", "--model_args", f"pretrained={model}", "--methods", "none", "-o", "out"]
        code = main(["run", *options, *text, *words])
        return code, capsys.readouterr().err.splitlines()

    return perform


def error_of(found: tuple[int, list[str]], code: int) -> str:
    """The error and its hint, where this is the exit code, nothing else was said and no record was written."""
    assert found[0] == code, found
    said = [line for line in found[1] if not line.endswith("runs are already in out/")]
    assert [line.partition(":")[0] for line in said] in (["error"], ["error", "hint"]), found
    assert not list(Path("out").rglob("result.json"))
    return "\n".join(said)


def rows(count: int = 32) -> list[dict[str, Any]]:
    """Made-up records in ROME's form, all of one relation."""
    tongues = ("French", "English", "Welsh", "Dutch")
    return [
        {
            "case_id": case,
            "pararel_idx": case,
            "requested_rewrite": {
                "prompt": "The mother tongue of {} is",
                "relation_id": "P103",
                "target_new": {"str": tongues[(case + 1) % 4], "id": "Q2"},
                "target_true": {"str": tongues[case % 4], "id": "Q1"},
                "subject": f"Person {case}",
            },
            "paraphrase_prompts": [f"It's said.\n\nPerson {case} speaks", f'They said "so". Person {case} speaks'],
            "neighborhood_prompts": [f"Neighbour {i} of {case} speaks" for i in range(3)],
            "attribute_prompts": [f"Attribute {i} of {case} is" for i in range(3)],
            "generation_prompts": [f"Person {case} often", f"Person {case} lives"],
        }
        for case in range(count)
    ]


# -- files ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["json", "json.gz"])
def test_a_file_that_was_cut_off_is_named_with_its_checksum(form: str, order: Order, tmp_path: Path) -> None:
    whole = json.dumps(rows()).encode()
    data = (gzip.compress(whole) if form == "json.gz" else whole)[:-200]
    path = tmp_path / f"facts.{form}"
    path.write_bytes(data)

    shown = error_of(order(*COUNTERFACT, "--facts_file", str(path)), 2)

    assert f"{path} is damaged" in shown
    assert f"sha256:{hashlib.sha256(data).hexdigest()}" in shown


def test_a_known_file_that_was_altered_is_run_with_both_checksums_in_warning_and_record(
    order: Order, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "counterfact.json"
    path.write_text(json.dumps(rows()))
    original = known.KnownFile("counterfact.json", 12_345, "sha256:" + "0" * 64, "of a test")
    monkeypatch.setattr(known, "KNOWN_FILES", (original,))
    monkeypatch.setattr(counterfact, "_converted", counterfact._converted.__wrapped__)

    code, said = order(*COUNTERFACT, "--facts_file", str(path))

    (result,) = Path("out").rglob("result.json")
    (warning,) = json.loads(result.read_text())["warnings"]
    assert code == 0
    assert f"warning: {warning}" in said
    assert "counterfact.json is not the known one" in warning
    assert f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}" in warning
    assert original.sha256 is not None
    assert original.sha256 in warning


def test_a_csv_with_lists_as_numpy_writes_them_asks_every_prompt(order: Order, tmp_path: Path) -> None:
    given = rows()
    with (tmp_path / "facts.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["Unnamed: 0", *given[0]])
        writer.writeheader()
        for number, row in enumerate(given):
            plain = {
                key: "[" + "\n ".join(map(repr, value)) + "]" if isinstance(value, list) else str(value)
                for key, value in row.items()
            }
            writer.writerow({"Unnamed: 0": number, **plain})
    (tmp_path / "facts.json").write_text(json.dumps(given))
    tasks = ["--tasks", "counterfact/paraphrase,counterfact/neighborhood"]

    found = {}
    for name in ("facts.csv", "facts.json"):
        code, _ = order(*COUNTERFACT[:2], *tasks, "--facts_file", name, "-o", name.replace(".", "-"))
        assert code == 0
        (path,) = Path(name.replace(".", "-")).rglob("result.json")
        metrics = {(m["task"], m["name"]): (m["n"], m["value"]) for m in json.loads(path.read_text())["metrics"]}
        found[name] = metrics

    assert found["facts.csv"] == found["facts.json"]
    assert found["facts.csv"]["counterfact/neighborhood", "accuracy"][0] == 4 * 3
    assert found["facts.csv"]["counterfact/paraphrase", "accuracy"][0] == 4 * 2


def test_a_list_in_a_csv_that_cannot_be_read_is_named_with_row_and_field(order: Order, tmp_path: Path) -> None:
    (tmp_path / "facts.csv").write_text(
        "case_id,pararel_idx,requested_rewrite,paraphrase_prompts,neighborhood_prompts,attribute_prompts,"
        "generation_prompts\n"
        f'0,0,"{rows(1)[0]["requested_rewrite"]}","[\'It\' \'is","[\'a\']","[\'b\']","[\'c\']"\n'
    )

    shown = error_of(order(*COUNTERFACT, "--facts_file", "facts.csv"), 2)

    assert "row 1" in shown
    assert "'paraphrase_prompts'" in shown


@pytest.mark.parametrize(
    ("break_it", "field"),
    [
        (lambda row: row.pop("paraphrase_prompts"), "'paraphrase_prompts'"),
        (lambda row: row["requested_rewrite"].pop("subject"), "'requested_rewrite.subject'"),
        (lambda row: row["requested_rewrite"]["target_true"].pop("str"), "'requested_rewrite.target_true.str'"),
        (lambda row: row["requested_rewrite"].update(prompt=7), "'requested_rewrite.prompt'"),
        (lambda row: row.update(neighborhood_prompts="one"), "'neighborhood_prompts'"),
    ],
    ids=["list", "subject", "true target", "number for text", "text for list"],
)
def test_a_record_that_lacks_a_field_is_named_with_row_and_field(
    break_it: Callable[[dict[str, Any]], object], field: str, order: Order, tmp_path: Path
) -> None:
    given = rows()
    break_it(given[17])
    (tmp_path / "facts.json").write_text(json.dumps(given))

    shown = error_of(order(*COUNTERFACT, "--facts_file", "facts.json"), 2)

    assert "row 18" in shown
    assert field in shown
    assert "facts.json" in shown


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "facts.json is damaged (it is empty)"),
        ("[]", "facts.json holds no rows"),
        ('[{"question": "?"}]', "facts.json is in no form of CounterFact that is known"),
        ("<html>404</html>", "facts.json is damaged (it is a web page, not data)"),
    ],
)
def test_a_file_that_is_no_counterfact_is_refused(text: str, wrong: str, order: Order, tmp_path: Path) -> None:
    (tmp_path / "facts.json").write_text(text)

    assert wrong in error_of(order(*COUNTERFACT, "--facts_file", "facts.json"), 2)


def test_more_facts_than_the_file_can_spare_are_refused_with_the_largest_number(order: Order, tmp_path: Path) -> None:
    (tmp_path / "facts.json").write_text(json.dumps(rows(26)))
    words = ["--facts", "counterfact:16[least_probability=0]", "--tasks", "counterfact/forget"]

    shown = error_of(order(*words, "--facts_file", "facts.json"), 2)

    assert "the largest forget set here is counterfact:6" in shown


# -- exams ----------------------------------------------------------------------------------------------


def _exam(folder: Path, test: str, dev: str = "What is 1+1?,1,2,3,4,B\n") -> None:
    for split, text in (("test", test), ("dev", dev)):
        (folder / split).mkdir(parents=True)
        (folder / split / f"sums_{split}.csv").write_text(text)


@pytest.mark.parametrize(
    ("test", "dev", "wrong"),
    [
        ("What is 2+2?,1,2,3,4,D\nWhat is 3?,1,2,3,C\n", "q,1,2,3,4,A\n", "sums_test.csv, row 1: 5 fields"),
        ("What is 2+2?,1,2,3,4,E\n", "q,1,2,3,4,A\n", "sums_test.csv, row 0: the field 'answer' is 'E'"),
        ("What is 2+2?,1,2,3,4,D\n", "", "sums has no questions in dev"),
    ],
    ids=["a choice too few", "no such letter", "no examples"],
)
def test_an_exam_that_is_broken_is_named_with_file_row_and_field_before_any_edit(
    test: str, dev: str, wrong: str, order: Order, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _exam(tmp_path / "exam", test, dev)

    words = [*SPORTS, "--tasks", f"mmlu[data={tmp_path / 'exam'}]", "--methods", "full_finetune"]
    monkeypatch.setattr("unlearnbench.methods.full_finetune.FullFinetune.edit", _too_late)

    assert wrong in error_of(order(*words), 2)


def _too_late(*_: object) -> None:
    raise AssertionError("the model was edited before the exam was looked at")


# -- words ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "wrong", "nearest"),
    [
        (["--facts", "counterfacts:64", "--tasks", "counterfact"], "unknown fact set 'counterfacts'", "'counterfact'"),
        (["--facts", "counterfact:64-seqential", "--tasks", "counterfact"], "'64-seqential'", "'64-sequential'"),
        (["--facts", "counterfact:64[sorce=tracing]", "--tasks", "counterfact"], "'sorce'", "'source'"),
        ([*SPORTS, "--tasks", "mmul"], "unknown task 'mmul'", "'mmlu'"),
        ([*SPORTS, "--tasks", "sports/paraphrases"], "'sports/paraphrases'", "'sports/paraphrase'"),
        ([*SPORTS, "--tasks", "mmlu[limits=3]"], "'limits'", "'limit'"),
        ([*SPORTS, "--side_effects", "helaswag"], "unknown task 'helaswag'", "'hellaswag'"),
    ],
)
def test_an_unknown_word_is_named_with_the_nearest_that_exists(
    words: list[str], wrong: str, nearest: str, order: Order
) -> None:
    shown = error_of(order(*words), 2)

    assert wrong in shown
    assert nearest in shown.partition("hint: ")[2]


def test_a_value_that_a_setting_cannot_have_is_named_with_those_it_can(order: Order) -> None:
    shown = error_of(order("--facts", "counterfact:64[source=planed]", "--tasks", "counterfact"), 2)

    assert "source='planed'" in shown
    assert "'auto', 'planted', 'azhx', 'tracing' or 'file'" in shown


# -- the hub --------------------------------------------------------------------------------------------


@pytest.fixture
def unreachable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """Online, as far as one knows, with nothing cached and nobody at the hub's address; every wait is noted."""
    waits: list[object] = []
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets")
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(time, "sleep", waits.append)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{closed.getsockname()[1]}")
        from unlearnbench.lm_eval_bridge import data

        data._hub_answers.cache_clear()
        yield waits
        data._hub_answers.cache_clear()


@pytest.mark.parametrize(
    ("words", "named", "remedy"),
    [
        (COUNTERFACT, "azhx/counterfact", "--facts_file PATH"),
        (
            ["--facts", "counterfact:4[source=tracing,least_probability=0]", *COUNTERFACT[2:]],
            "NeelNanda/counterfact-tracing",
            "--facts_file PATH",
        ),
        ([*SPORTS, "--tasks", "mmlu"], "cais/mmlu", "mmlu[data=FOLDER]"),
    ],
    ids=["azhx", "tracing", "mmlu"],
)
def test_data_that_the_hub_does_not_give_are_one_error_at_once_that_names_the_local_way(
    words: list[str], named: str, remedy: str, order: Order, unreachable: list[object]
) -> None:
    shown = error_of(order(*words), 5)

    assert named in shown
    assert remedy in shown.partition("hint: ")[2]
    assert not unreachable, "it waited to ask again"


def test_retain_text_that_the_hub_does_not_give_names_the_option(order: Order, unreachable: list[object]) -> None:
    shown = error_of(order(*SPORTS, retain=None), 5)

    assert "NeelNanda/pile-10k" in shown
    assert "--retain_text world or a text file" in shown
    assert not unreachable, "it waited to ask again"


def test_a_model_that_the_hub_does_not_give_names_the_folder(order: Order, unreachable: list[object]) -> None:
    shown = error_of(order(*SPORTS, model="nobody/nothing"), 5)

    assert "model 'nobody/nothing' is neither a folder here nor to be had from the hub" in shown
    assert "offline, give pretrained=FOLDER" in shown
    assert not unreachable, "it waited to ask again"
