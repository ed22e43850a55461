"""Being in a folder is registration; what cannot be imported is listed and stops nobody else."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from unlearnbench import registry
from unlearnbench.editing.method import Method
from unlearnbench.errors import UnknownName, UsageError
from unlearnbench.include import include
from unlearnbench.registry import CATALOGUES, Catalogue, fact_sets, methods, register

ROOT = Path(__file__).parents[1]
METHOD = '''
from dataclasses import dataclass

from unlearnbench.editing.method import Method
from unlearnbench.include import include
from unlearnbench.registry import register


@register("{name}")
@dataclass(frozen=True, kw_only=True)
class Mine(Method):
    """{about}"""
'''


@pytest.fixture(autouse=True)
def registry_as_before() -> Iterator[None]:
    """Whatever a test registers is gone afterwards."""
    modules, path = set(sys.modules), list(sys.path)
    with ExitStack() as stack:
        for catalogue in CATALOGUES:
            stack.enter_context(catalogue.remembered())
        yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith(("unlearnbench_included_", "plugin_of_a_test", "helper_of_a_test")):
            del sys.modules[name]


def file_with(folder: Path, name: str, text: str) -> Path:
    """A Python file in a folder of a user's own."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.py"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("catalogue", CATALOGUES, ids=lambda catalogue: catalogue.kind)
def test_every_file_of_the_folder_is_found_and_no_list_names_them(catalogue: Catalogue) -> None:
    folders = {package: package.removeprefix("unlearnbench.").replace(".", "/") for package in catalogue.packages}
    files = {f"{p}.{path.stem}" for p, folder in folders.items() for path in ROOT.joinpath(folder).glob("*.py")}
    files = {name for name in files if not name.endswith("__init__")}

    found = {entry.__module__ for entry in catalogue.values()}

    assert files <= found
    assert files
    assert {label: error for label, error in catalogue.broken.items() if label.startswith("unlearnbench.")} == {}
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


def test_something_of_no_kind_cannot_be_registered() -> None:
    class Stranger:
        """No method, no task, no fact set."""

    with pytest.raises(TypeError, match="of no kind that can be registered: method, localizer, objective"):
        register("stranger")(Stranger)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (METHOD.format(name="mute_of_a_test", about="").replace('    """"""', "    pass"), "has no docstring"),
        ("import sys\nsys.exit(3)\n", "ends the program when it is imported: sys.exit(3)"),
        ("raise SystemExit\n", "ends the program"),
    ],
)
def test_a_file_that_says_nothing_or_ends_the_program_is_listed_with_a_sentence(
    tmp_path: Path, text: str, sentence: str
) -> None:
    path = file_with(tmp_path, "mine", text)

    include(tmp_path)

    assert sentence in methods.broken[str(path)]


@pytest.mark.parametrize("line", ["import helper_of_a_test as helper", "from . import helper_of_a_test as helper"])
def test_a_helper_beside_a_users_file_can_be_imported(tmp_path: Path, line: str) -> None:
    file_with(tmp_path, "helper_of_a_test", "ABOUT = 'From a helper.'\n")
    text = METHOD.format(name="helped_of_a_test", about="Helped.") + "\nMine.__doc__ = helper.ABOUT\n"
    file_with(tmp_path, "mine", f"{line}\n{text}")

    include(tmp_path)

    assert methods.broken == {}
    assert methods["helped_of_a_test"].__doc__ == "From a helper."


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
    methods.refill()  # as in a fresh process

    assert "plugged_in_by_a_test" in methods
    assert "full_finetune" in methods
    assert methods["plugged_in_by_a_test"].__module__ == "plugin_of_a_test"
    assert methods.broken["lost = plugin_of_a_test_that_is_gone:Mine"].startswith("ModuleNotFoundError: ")
