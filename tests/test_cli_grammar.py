"""The command line takes lm-eval's grammar, names what is wrong, and is fast because torch can wait."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from unlearnbench import cli
from unlearnbench.cli import main
from unlearnbench.cli.grammar import Pairs, Parser, Words, whole_numbers, with_underscores
from unlearnbench.words import split_commas

ROOT = Path(__file__).parents[1]


def parsed(*arguments: str) -> argparse.Namespace:
    """The options of a command line, by the parser of the command itself."""
    return cli.parser().parse_args(with_underscores(arguments))


def parser_with(action: type[argparse.Action]) -> Parser:
    """A parser with one option of many words."""
    parser = Parser(prog="test")
    parser.add_argument("--option", nargs="+", action=action)
    return parser


@pytest.mark.parametrize(
    "arguments",
    [
        ["--option", "a,b,c"],
        ["--option", "a", "b", "c"],
        ["--option", "a,b", "c"],
        ["--option", "a, b ,", "c"],
        ["--option", "a", "--option", "b,c"],
    ],
)
def test_lists_have_commas_or_spaces_or_both(arguments: list[str]) -> None:
    assert parser_with(Words).parse_args(arguments).option == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a[x=1,y=2],b", ["a[x=1,y=2]", "b"]),
        ("a,b[x=1,y=2]", ["a", "b[x=1,y=2]"]),
        ("a[x=1],b[y=2,z=3],c", ["a[x=1]", "b[y=2,z=3]", "c"]),
        ("a[]", ["a[]"]),
        ("a[x=b[y=1,z=2],w=3],c", ["a[x=b[y=1,z=2],w=3]", "c"]),
        ("", []),
    ],
)
def test_commas_inside_brackets_belong_to_the_word(text: str, words: list[str]) -> None:
    assert split_commas(text) == words


def test_the_methods_of_a_command_keep_their_settings() -> None:
    chosen = parsed("run", "--methods", "none,full_finetune[objective=edit,steps=3]", "oracle")

    assert chosen.methods == ["none", "full_finetune[objective=edit,steps=3]", "oracle"]


def test_dashes_and_underscores_in_options_are_the_same() -> None:
    dashes = parsed("run", "--output-path", "a-b", "--batch-size=3", "--dry-run", "--model-args", "pretrained=x-y/z")
    underscores = parsed(
        "run", "--output_path", "a-b", "--batch_size=3", "--dry_run", "--model_args", "pretrained=x-y/z"
    )

    assert dashes == underscores
    assert dashes.output_path == Path("a-b")
    assert (dashes.batch_size, dashes.dry_run, dashes.model_args) == (3, True, {"pretrained": "x-y/z"})


def test_only_the_names_of_options_lose_their_dashes() -> None:
    words = ["run", "--foo-bar=a-b", "-x", "a-b", "--c-d", "e--f"]

    assert with_underscores(words) == ["run", "--foo_bar=a-b", "-x", "a-b", "--c_d", "e--f"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--option", "a=1,b=x=y"],
        ["--option", "a=1", "b=x=y"],
        ["--option", "a=1", "--option", "b=x=y"],
        ["--option", '{"a": "1", "b": "x=y"}'],
        ["--option", '{"a": "2", "b": "x=y"}', "a=1"],
    ],
)
def test_pairs_are_text_or_json_and_add_up(arguments: list[str]) -> None:
    assert parser_with(Pairs).parse_args(arguments).option == {"a": "1", "b": "x=y"}


def test_json_gives_the_same_texts_as_pairs() -> None:
    found = parser_with(Pairs).parse_args(["--option", '{"steps": 3, "rate": 0.5}']).option

    assert found == {"steps": "3", "rate": "0.5"}


@pytest.mark.parametrize(("text", "complaint"), [("steps", "'steps' is not of the form"), ('{"a": }', "not JSON")])
def test_a_pair_of_another_form_is_refused(text: str, complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parser_with(Pairs).parse_args(["--option", text])

    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("0-2", [0, 1, 2]), ("0,1,2", [0, 1, 2]), ("7", [7]), ("0-1,5,8-9", [0, 1, 5, 8, 9]), ("3-3", [3])],
)
def test_seeds_are_numbers_and_ranges(text: str, seeds: list[int]) -> None:
    assert parsed("run", "--seeds", text).seeds == [seeds]


def test_seeds_may_be_given_with_spaces_too() -> None:
    assert parsed("run", "--seeds", "0", "4-5").seeds == [[0], [4, 5]]


@pytest.mark.parametrize("text", ["one", "1.5", "-1", "0-", "0..2", "2-0", ""])
def test_what_is_no_seed_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="give whole numbers"):
        whole_numbers(text)


def run_python(code: str, folder: Path) -> str:
    """What a fresh interpreter prints."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "benchmark")}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=folder, env=environment
    )
    return done.stdout


def test_help_prints_the_exit_codes_without_loading_torch(tmp_path: Path) -> None:
    code = """
import sys
from unlearnbench.cli import main
try:
    main(["--help"])
except SystemExit as ended:
    print("ended with", ended.code)
print("heavy:", sorted({"torch", "transformers", "datasets"} & set(sys.modules)))
"""

    printed = run_python(code, tmp_path)

    assert cli.EXIT_CODES in printed
    assert "ended with 0" in printed
    assert "heavy: []" in printed
    assert all(verb in printed for verb in ("run", "ls", "show", "leaderboard", "organism-report", "doctor"))


@pytest.mark.parametrize("arguments", [["leaderboard", "."], ["ls", "suites"], ["show", "nowhere"]])
def test_verbs_that_only_read_do_not_load_torch(arguments: list[str], tmp_path: Path) -> None:
    code = f"import sys; from unlearnbench.cli import main; main({arguments}); print('heavy:', 'torch' in sys.modules)"

    assert "heavy: False" in run_python(code, tmp_path)


@pytest.mark.parametrize(
    ("arguments", "nearest"),
    [
        (["run", "--metods", "none"], "--methods"),
        (["run", "--sedes=0"], "--seeds"),
        (["run", "--output-pth", "x"], "--output_path"),
        (["ls", "methods", "--formta", "json"], "--format"),
    ],
)
def test_a_misspelt_option_gives_the_nearest_one(
    arguments: list[str], nearest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    assert ended.value.code == 2
    assert f"hint: did you mean {nearest}?" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["ls", "cheeses"], ["ls"], ["fly"], [], ["run", "--seeds", "x"], ["leaderboard", "--format", "png"]]
)
def test_a_command_that_cannot_be_right_ends_with_2_and_a_reason(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_a_suite_asks_ones_own_methods_what_it_asks_of_its_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """At its seeds, with the settings of its tasks, and not among its own results."""
    monkeypatch.chdir(tmp_path)
    assert main(["run", "--suite", "core", "--methods", "npo[steps=3]", "--dry_run"]) == 0
    told = capsys.readouterr()
    shown = told.out + told.err
    assert "npo[steps=3]" in shown
    assert "oracle" not in shown
    assert "results/scratch" in shown
    assert shown.count("npo[steps=3]") >= 3


def test_an_unknown_kind_to_list_names_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["ls", "cheeses"])

    error = capsys.readouterr().err
    assert "cheeses" in error
    assert all(kind in error for kind in ("methods", "tasks", "facts", "models", "suites"))


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["run"], 2, "nothing is said about methods"),
        (["run", "--suite", "dmeo"], 2, "did you mean 'demo'?"),
        (["run", "--suite", "demo", "--seeds", "0"], 2, "--suite says all of --seeds itself"),
        (["show", "nowhere"], 2, "there is no record"),
        (["leaderboard", "nowhere"], 2, "there is no results folder"),
        (["ls", "suites", "--include", "nowhere"], 2, "there is no such folder"),
    ],
)
def test_an_error_is_told_in_words_with_its_exit_code(
    arguments: list[str],
    code: int,
    complaint: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)

    assert main(arguments) == code
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert complaint in error
    assert "Traceback" not in error


def test_an_error_is_json_where_json_was_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)

    code = main(["show", "nowhere", "--format", "json"])

    told: dict[str, Any] = json.loads(capsys.readouterr().err)
    assert code == told["exit_code"] == 2
    assert "there is no record" in told["error"]


def test_a_list_is_json_where_json_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["ls", "suites", "--format", "json"])

    found = json.loads(capsys.readouterr().out)["found"]
    assert code == 0
    assert "demo" in [suite["name"] for suite in found]


def test_the_list_of_models_says_what_each_ones_oracle_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ls", "models"]) == 0

    shown = " ".join(capsys.readouterr().out.split())
    assert "oracles for counterfact:64, sports:people-64" in shown
    assert "taught later into mlp.3; the model before is their oracle" in shown
    assert "taught later into mlp.2 and again into mlp.3" in shown
    assert "oracles for hf" not in shown
