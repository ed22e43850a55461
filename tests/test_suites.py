"""Suites that ship can be run as they are; a wrong one is refused by the key that is wrong."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from unlearnbench.errors import UnknownName, UsageError
from unlearnbench.model.source import ModelSource
from unlearnbench.running.suites import load_suite, suites
from unlearnbench.running.words import parse_facts, parse_method, parse_tasks

GOOD: dict[str, Any] = {
    "name": "mine",
    "version": 1,
    "about": "Why?",
    "model": "tiny",
    "facts": ["sports:people-64"],
    "methods": ["none", "full_finetune[objective=edit,steps=3]"],
    "tasks": ["sports/questions"],
    "seeds": [0, 1],
}


def written(folder: Path, text: str) -> str:
    """A suite file of the user's own."""
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_there_are_shipped_suites() -> None:
    assert "demo" in suites()


@pytest.mark.parametrize("name", suites())
def test_a_shipped_suite_loads_under_its_own_name_and_names_only_what_exists(name: str) -> None:
    suite = load_suite(name)
    layout = ModelSource(
        kind="organism",
        name="tiny",
        weights_sha256="",
        config_sha256="sha256:c",
        tokenizer_sha256="sha256:t",
        layout="inline",
        learning_rate=1e-3,
        retain_text="world",
    )

    methods = [parse_method(word, {}) for word in suite.methods]
    tasks = parse_tasks(suite.tasks, [parse_facts(word) for word in suite.facts], layout)

    assert suite.name == name
    assert suite.about
    assert "none" in [method.name for method in methods]
    assert all(tasks)


def test_a_suite_of_ones_own_is_read_from_its_file(tmp_path: Path) -> None:
    suite = load_suite(written(tmp_path, yaml.safe_dump(GOOD)))

    assert suite.model_dump(exclude_unset=True) == GOOD
    assert (suite.batch_size, suite.model_args, suite.retain_text) == (64, {}, None)


def test_an_unknown_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"mine\.yaml: metods") as wrong:
        load_suite(written(tmp_path, yaml.safe_dump({**GOOD, "metods": ["none"]})))

    assert "methods" in wrong.value.hint
    assert wrong.value.exit_code == 2


@pytest.mark.parametrize("key", ["seeds", "name"])
def test_a_key_that_occurs_twice_is_named(tmp_path: Path, key: str) -> None:
    text = yaml.safe_dump(GOOD) + yaml.safe_dump({key: GOOD[key]})

    with pytest.raises(UsageError, match=f"the key '{key}' occurs twice"):
        load_suite(written(tmp_path, text))


def test_a_key_that_occurs_twice_further_inside_is_named(tmp_path: Path) -> None:
    text = yaml.safe_dump(GOOD) + "model_args: {revision: a, revision: b}\n"

    with pytest.raises(UsageError, match="the key 'revision' occurs twice"):
        load_suite(written(tmp_path, text))


@pytest.mark.parametrize("key", ["facts", "methods", "tasks", "seeds"])
def test_an_empty_list_is_named(tmp_path: Path, key: str) -> None:
    with pytest.raises(UsageError, match=rf"mine\.yaml: {key}: .*at least 1 item"):
        load_suite(written(tmp_path, yaml.safe_dump({**GOOD, key: []})))


@pytest.mark.parametrize("key", sorted(GOOD))
def test_a_key_that_is_missing_is_named(tmp_path: Path, key: str) -> None:
    text = yaml.safe_dump({name: value for name, value in GOOD.items() if name != key})

    with pytest.raises(UsageError, match=rf"mine\.yaml: {key}: .*required"):
        load_suite(written(tmp_path, text))


@pytest.mark.parametrize(
    ("key", "value", "where"),
    [
        ("methods", "none", "methods"),
        ("seeds", ["first"], r"seeds\.0"),
        ("seeds", 3, "seeds"),
        ("version", 0, "version"),
        ("version", "one", "version"),
        ("name", "My Suite", "name"),
        ("about", 3, "about"),
        ("facts", [{"sports": "people-64"}], r"facts\.0"),
        ("model_args", {"revision": 1}, r"model_args\.revision"),
        ("batch_size", "many", "batch_size"),
    ],
)
def test_a_value_of_the_wrong_type_is_named(tmp_path: Path, key: str, value: Any, where: str) -> None:
    with pytest.raises(UsageError, match=rf"mine\.yaml: {where}: "):
        load_suite(written(tmp_path, yaml.safe_dump({**GOOD, key: value})))


@pytest.mark.parametrize("text", ["", "- none\n- oracle\n", "name: [unclosed\n", "!!python/object:os.system {}\n"])
def test_a_file_that_holds_no_suite_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match=r"mine\.yaml"):
        load_suite(written(tmp_path, text))


def test_an_unknown_suite_gives_the_nearest_one() -> None:
    with pytest.raises(UnknownName, match="unknown suite 'dmeo'") as unknown:
        load_suite("dmeo")

    assert "did you mean 'demo'?" in unknown.value.hint


def test_a_suite_file_that_does_not_exist_is_an_unknown_suite(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match=r"nowhere\.yaml"):
        load_suite(str(tmp_path / "nowhere.yaml"))
