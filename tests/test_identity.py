"""A run's identity changes with all code that decides its numbers, and with nothing else."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from unlearnbench.model.source import ModelSource, locate
from unlearnbench.running import identity
from unlearnbench.running.identity import code_of, source_digest
from unlearnbench.running.plan import plan
from unlearnbench.running.words import parse_facts, parse_method

METHOD = "random_mlps[objective=log1mp]"
TASKS = ("sports/forget", "sports/multiple_choice")


@pytest.fixture(scope="module")
def source() -> ModelSource:
    """The embedded model."""
    return locate("tiny", {}, None).source


@pytest.fixture
def mutate(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str, str], None]:
    """Replaces a piece of a source file, as a change of the code would; the files stay as they are."""
    changes: dict[str, tuple[str, str]] = {}
    real = identity.read_source

    def read(path: Path) -> str:
        text = real(path)
        for ending, (old, new) in changes.items():
            if path.as_posix().endswith(ending):
                assert old in text, f"{ending} has no {old!r}: write the mutation anew"
                text = text.replace(old, new)
        return text

    def change(ending: str, old: str, new: str) -> None:
        changes[ending] = (old, new)

    monkeypatch.setattr(identity, "read_source", read)
    return change


def hashes(source: ModelSource, method: str = METHOD) -> tuple[str, dict[str, str]]:
    """The identity of an edit, and of each task that is asked of it."""
    (cell,) = plan(
        methods=[parse_method(method, {})],
        facts=[parse_facts("sports:people-16")],
        tasks=TASKS,
        seeds=[0],
        source=source,
        batch_size=64,
    )
    return cell.spec.hash, {ask.spec.name: ask.spec.hash for ask in cell.tasks}


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        pytest.param("methods/objectives/log1mp.py", "truths(facts)", "truths(facts[:1])", id="objective"),
        pytest.param("methods/localizers/random_mlps.py", '"mlp."', '"attention."', id="localizer"),
        pytest.param("methods/adversaries/none.py", "nullcontext()", "nullcontext(None)", id="adversary"),
        pytest.param("methods/random_mlps.py", '"random_mlps")\n    ""', '"all_mlps")\n    ""', id="preset"),
        pytest.param("editing/training.py", "0.1 * self.steps", "0.2 * self.steps", id="schedule"),
        pytest.param("editing/training.py", "weight_decay=0.0", "weight_decay=0.1", id="optimizer"),
        pytest.param(
            "editing/training.py",
            "clip_grad_norm_(masters.parameters, 1.0)",
            "clip_grad_norm_(masters.parameters, 2.0)",
            id="clipping",
        ),
        pytest.param(
            "editing/finetuning.py",
            "weight=t.weight * self.forget_weight",
            "weight=-t.weight",
            id="sign of all objectives",
        ),
        pytest.param("editing/localization.py", "> allowed", ">= allowed", id="budget rule"),
        pytest.param("editing/retain.py", "CONTEXT = 128", "CONTEXT = 64", id="retain text"),
        pytest.param("model/reading.py", "end == 0", "end == 1", id="reading"),
        pytest.param("world/corpus.py", "STATEMENTS = 5", "STATEMENTS = 6", id="text of the world"),
        pytest.param("seeds.py", '"big"', '"little"', id="seeds"),
    ],
)
def test_a_change_of_code_that_decides_an_edit_is_another_edit(
    mutate: Callable[[str, str, str], None], source: ModelSource, file: str, old: str, new: str
) -> None:
    before = hashes(source)[0]

    mutate(file, old, new)

    assert hashes(source)[0] != before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        pytest.param("editing/training.py", '"""The only optimizer loop', '"""The one optimizer loop', id="docstring"),
        pytest.param("editing/training.py", "import math\n", "import math\n\n# a comment\n", id="comment"),
        pytest.param("methods/objectives/edit.py", "fact.edit_target or", "fact.answer or", id="another objective"),
        pytest.param("methods/oracle.py", "Everywhere", "Somewhere", id="another method"),
        pytest.param("tasks/forget.py", "split.forget", "split.relearn_test", id="a task"),
        pytest.param("tasks/facts/sports.py", "QUESTION.format", "QUESTION.lower().format", id="fact set's code"),
        pytest.param("errors.py", "exit_code = 1", "exit_code = 7", id="wording of errors"),
        pytest.param("cli/run.py", "nothing was run", "nothing is run", id="command line"),
        pytest.param("records/store.py", "mtime=0", "mtime=1", id="files"),
    ],
)
def test_a_change_elsewhere_is_the_same_edit(
    mutate: Callable[[str, str, str], None], source: ModelSource, file: str, old: str, new: str
) -> None:
    before = hashes(source)[0]

    mutate(file, old, new)

    assert hashes(source)[0] == before


@pytest.mark.parametrize(
    ("file", "old", "new", "changed"),
    [
        pytest.param("tasks/forget.py", "split.forget", "split.relearn_test", {"sports/forget"}, id="its own file"),
        pytest.param("model/scoring.py", ".double()", ".float()", set(TASKS), id="scoring"),
        pytest.param("records/estimate.py", "count / (count - 1)", "count / count", set(TASKS), id="standard errors"),
        pytest.param("tasks/multiple_choice.py", "_ORDERS = 4", "_ORDERS = 3", {"sports/multiple_choice"}, id="orders"),
        pytest.param("editing/training.py", "0.1 * self.steps", "0.2 * self.steps", set(), id="training"),
    ],
)
def test_a_change_of_code_that_decides_a_task_is_another_task_and_of_the_same_edit_unless_it_edits_too(
    mutate: Callable[[str, str, str], None], source: ModelSource, file: str, old: str, new: str, changed: set[str]
) -> None:
    edit, before = hashes(source)

    mutate(file, old, new)
    again, after = hashes(source)

    assert {name for name in before if before[name] != after[name]} == changed
    assert (again == edit) is (file not in ("editing/training.py", "model/scoring.py"))


def test_a_question_added_to_the_facts_is_the_same_edit_and_asks_other_tasks(
    source: ModelSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit, before = hashes(source)

    monkeypatch.setattr("unlearnbench.tasks.facts.sports.QUESTION", "What does {s} play?")
    again, after = hashes(source)

    assert again == edit
    assert all(before[name] != after[name] for name in before)


def test_a_helper_beside_a_users_file_is_part_of_its_code(tmp_path: Path) -> None:
    from unlearnbench import registry
    from unlearnbench.include import include

    (tmp_path / "helper_of_identity.py").write_text("FACTOR = 1.0\n")
    (tmp_path / "mine.py").write_text(
        "from dataclasses import dataclass\n"
        "from unlearnbench import Objective, register\n"
        "from . import helper_of_identity\n"
        "@register('mine_of_identity')\n"
        "@dataclass(frozen=True, kw_only=True)\n"
        "class Mine(Objective):\n"
        "    'Nothing.'\n"
        "    def terms(self, model, split, place):\n"
        "        return []\n"
    )
    with registry.objectives.remembered():
        include(tmp_path)
        digests = [source_digest(registry.objectives["mine_of_identity"])]
        (tmp_path / "helper_of_identity.py").write_text("FACTOR = 1.0  # the same\n")
        digests.append(source_digest(registry.objectives["mine_of_identity"]))
        (tmp_path / "helper_of_identity.py").write_text("FACTOR = 2.0\n")
        digests.append(source_digest(registry.objectives["mine_of_identity"]))

    assert digests[0] == digests[1] != digests[2]


def test_code_is_text_without_comments_docstrings_and_blank_lines() -> None:
    text = (
        '"""Says."""\n\nX = "# no comment"  # one\n\n\nclass C:\n    """Says."""\n\n    y: int = 1\n    """Says."""\n'
    )

    assert code_of(text) == 'X = "# no comment"\nclass C:\n    y: int = 1'


def test_a_text_that_python_cannot_read_is_its_own_code() -> None:
    assert code_of("def (:") == "def (:"


def test_a_blank_line_within_a_string_is_code_and_one_outside_is_not() -> None:
    prompt = 'ASK = """Q: {q}\n\nA:"""\n'

    assert code_of(prompt) == prompt.rstrip("\n")
    assert code_of(prompt) != code_of(prompt.replace("\n\n", "\n"))
    assert code_of("\n\n" + prompt + "\n") == code_of(prompt)


def test_a_docstring_on_the_line_of_its_class_does_not_take_the_class_with_it() -> None:
    assert code_of('class A(B): "says"\n') != code_of('class A(C): "says"\n')


@pytest.mark.parametrize(
    ("line", "helper"),
    [
        ("from my_package_of_identity.losses import FACTOR", "losses.py"),
        ("from .losses import FACTOR", "losses.py"),
        ("from .deep import tools", "deep/tools.py"),
    ],
)
def test_a_module_of_a_plug_ins_own_package_is_part_of_its_code(
    line: str, helper: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "my_package_of_identity"
    (package / "deep").mkdir(parents=True)
    for folder in (package, package / "deep"):
        (folder / "__init__.py").write_text("")
    (package / helper).write_text("FACTOR = 1.0\n")
    (package / "mine.py").write_text(
        f"{line}\nfrom unlearnbench import Objective\n"
        "class Mine(Objective):\n    def terms(self, model, split, place):\n        return []\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "my_package_of_identity.mine", raising=False)
    for name in [name for name in sys.modules if name.startswith("my_package_of_identity")]:
        monkeypatch.delitem(sys.modules, name)
    entry = importlib.import_module("my_package_of_identity.mine").Mine

    before = source_digest(entry)
    (package / helper).write_text("FACTOR = 2.0\n")

    assert source_digest(entry) != before
