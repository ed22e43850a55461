"""Being in a folder is registration; what cannot be imported is listed and stops nobody else."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from unlearnbench import registry
from unlearnbench.editing.method import Method
from unlearnbench.errors import UnknownName, UsageError
from unlearnbench.registry import CATALOGUES, Catalogue, fact_sets, include, methods, questions, register

ROOT = Path(__file__).parents[1]
METHOD = '''
from dataclasses import dataclass

from unlearnbench.editing.method import Method
from unlearnbench.registry import register


@register("{name}")
@dataclass(frozen=True, kw_only=True)
class Mine(Method):
    """{about}"""
'''


@pytest.fixture(autouse=True)
def registry_as_before() -> Iterator[None]:
    """Whatever a test registers is gone afterwards."""
    kept = [(c, dict(c.items()), dict(c.broken)) for c in CATALOGUES]
    modules = set(sys.modules)
    yield
    for catalogue, entries, broken in kept:
        catalogue._entries.clear()
        catalogue._entries.update(entries)
        catalogue.broken.clear()
        catalogue.broken.update(broken)
    for name in set(sys.modules) - modules:
        if name.startswith(("unlearnbench_included_", "plugin_of_a_test")):
            del sys.modules[name]


def file_with(folder: Path, name: str, text: str) -> Path:
    """A Python file in a folder of a user's own."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.py"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("catalogue", "folder"), [(methods, "methods"), (questions, "tasks"), (fact_sets, "tasks/facts")]
)
def test_every_file_of_the_folder_is_found_and_no_list_names_them(catalogue: Catalogue, folder: str) -> None:
    files = {path.stem for path in ROOT.joinpath(folder).glob("*.py")} - {"__init__"}

    found = {entry.__module__ for entry in catalogue.values()}

    assert {f"{catalogue.package}.{stem}" for stem in files} <= found
    assert files
    assert {place: error for place, error in catalogue.broken.items() if place.startswith("unlearnbench.")} == {}
    assert all(entry.name == name for name, entry in catalogue.items())


@pytest.mark.parametrize("catalogue", CATALOGUES)
def test_names_are_sorted_and_every_entry_says_what_it_is(catalogue: Catalogue) -> None:
    assert list(catalogue) == sorted(catalogue)
    assert [name for name, entry in catalogue.items() if not (entry.__doc__ or "").strip()] == []


def test_what_a_users_folder_registers_can_be_named(tmp_path: Path) -> None:
    file_with(tmp_path, "mine", METHOD.format(name="mine_of_a_test", about="Hello."))

    include(tmp_path)

    assert "mine_of_a_test" in methods
    assert methods["mine_of_a_test"].__doc__ == "Hello."
    assert issubclass(methods["mine_of_a_test"], Method)


def test_a_broken_file_is_listed_with_its_error_and_the_others_still_work(tmp_path: Path) -> None:
    broken = file_with(tmp_path, "a_broken", "import no_such_module_of_a_test\n")
    misspelt = file_with(tmp_path, "b_misspelt", "def f(:\n")
    file_with(tmp_path, "c_good", METHOD.format(name="good_of_a_test", about="Good."))

    include(tmp_path)

    assert "no_such_module_of_a_test" in methods.broken[str(broken)]
    assert methods.broken[str(broken)].startswith("ModuleNotFoundError: ")
    assert methods.broken[str(misspelt)].startswith("SyntaxError: ")
    assert "good_of_a_test" in methods
    assert "none" in methods


def test_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such folder"):
        include(tmp_path / "nowhere")


def test_two_classes_of_one_name_are_refused() -> None:
    ours = methods["none"]

    @dataclass(frozen=True, kw_only=True)
    class Impostor(Method):
        """Calls itself none."""

    with pytest.raises(UsageError, match="two methods are called 'none'"):
        register("none")(Impostor)

    assert methods["none"] is ours


def test_a_users_file_cannot_take_the_name_of_ours(tmp_path: Path) -> None:
    ours = methods["none"]
    path = file_with(tmp_path, "thief", METHOD.format(name="none", about="A thief."))

    include(tmp_path)

    assert methods["none"] is ours
    assert "two methods are called 'none'" in methods.broken[str(path)]


def test_files_of_one_name_in_two_folders_do_not_replace_each_other(tmp_path: Path) -> None:
    file_with(tmp_path / "first", "mine", METHOD.format(name="mine_of_a_test", about="First."))
    second = file_with(tmp_path / "second", "mine", METHOD.format(name="mine_of_a_test", about="Second."))

    include(tmp_path / "first")
    include(tmp_path / "second")

    assert methods["mine_of_a_test"].__doc__ == "First."
    assert "two methods are called 'mine_of_a_test'" in methods.broken[str(second)]


def test_including_a_folder_twice_changes_nothing(tmp_path: Path) -> None:
    path = file_with(tmp_path, "mine", METHOD.format(name="mine_of_a_test", about="Once."))

    include(tmp_path)
    count = len(methods)
    include(tmp_path)

    assert len(methods) == count
    assert "mine_of_a_test" in methods
    assert str(path) not in methods.broken


def test_an_unknown_name_gives_the_nearest_one() -> None:
    with pytest.raises(UnknownName) as unknown:
        methods["full_finetun"]

    assert "unknown method 'full_finetun'" in str(unknown.value)
    assert "did you mean 'full_finetune'?" in unknown.value.hint
    assert unknown.value.exit_code == 2


def test_a_name_that_is_like_nothing_still_lists_what_there_is() -> None:
    with pytest.raises(UnknownName) as unknown:
        fact_sets["xyzzy"]

    assert "did you mean" not in unknown.value.hint
    assert "sports" in unknown.value.hint


def test_something_that_is_none_of_the_three_cannot_be_registered() -> None:
    class Stranger:
        """No method, no task, no fact set."""

    with pytest.raises(TypeError, match="neither a Method, nor a Task, nor a FactSet"):
        register("stranger")(Stranger)


def test_entry_points_of_installed_packages_are_found_and_broken_ones_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_with(tmp_path, "plugin_of_a_test", METHOD.format(name="plugged_in_by_a_test", about="From elsewhere."))
    monkeypatch.syspath_prepend(str(tmp_path))
    offered = [
        EntryPoint("plugged_in_by_a_test", "plugin_of_a_test:Mine", "unlearnbench.methods"),
        EntryPoint("lost", "plugin_of_a_test_that_is_gone:Mine", "unlearnbench.methods"),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda *, group: [p for p in offered if p.group == group])
    monkeypatch.delitem(methods.__dict__, "_filled")  # as in a fresh process

    assert "plugged_in_by_a_test" in methods
    assert "full_finetune" in methods
    assert methods["plugged_in_by_a_test"].__module__ == "plugin_of_a_test"
    assert methods.broken["lost = plugin_of_a_test_that_is_gone:Mine"].startswith("ModuleNotFoundError: ")
