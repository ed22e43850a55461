"""A method that damages the model fails by name, leaves no record, and the next run is clean."""

import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from unlearnbench.cli import main
from unlearnbench.records import store
from unlearnbench.registry import methods

pytestmark = pytest.mark.end_to_end


@pytest.fixture
def own_method(tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Writes a method called `own` into the folder `mine`; afterwards the registry knows it no longer."""
    folder = tmp_path / "mine"
    folder.mkdir()

    def write(body: str) -> None:
        head = (
            "from dataclasses import dataclass\n"
            "from unlearnbench import FineTuning, Localization, register\n"
            "@register('own')\n"
            "@dataclass(frozen=True, kw_only=True)\n"
            "class Own(FineTuning):\n"
        )
        (folder / "own.py").write_text(head + textwrap.indent(textwrap.dedent(body), "    "))

    with methods.remembered():
        yield write


ESCAPING = """
    'Changes an MLP that it did not name.'
    def localize(self, model, split, place):
        return Localization.of(model, ['mlp.0'])
    def edit(self, model, split, where, place):
        model.parameters[model.components['mlp.1'].parameters[0]].data.add_(1.0)
        return []
"""
CARELESS = """
    'Changes the head while it looks for a place to write, and then declares it.'
    def localize(self, model, split, place):
        model.parameters['lm_head.weight'].data.zero_()
        return Localization(frozenset({'lm_head.weight'}), ())
"""
HOOKED = """
    'Forgets a hook that silences an MLP.'
    def localize(self, model, split, place):
        import torch
        model.network.get_submodule(model.components['mlp.0'].path).register_forward_hook(lambda m, i, o: o * 0)
        return Localization.of(model, ['mlp.1'])
"""
BUFFERED = """
    'Changes a buffer.'
    def edit(self, model, split, where, place):
        next(iter(model.network.buffers())).mul_(0.5)
        return super().edit(model, split, where, place)
"""
REPLACED = """
    'Puts another head on the model.'
    def edit(self, model, split, where, place):
        import torch
        head = model.network.lm_head
        model.network.lm_head = torch.nn.Linear(head.in_features, head.out_features, bias=False)
        return super().edit(model, split, where, place)
"""
PATCHED = """
    'Replaces the forward pass of an MLP by another.'
    def edit(self, model, split, where, place):
        history = super().edit(model, split, where, place)
        mlp = model.network.get_submodule(model.components['mlp.0'].path)
        mlp.forward = lambda hidden: 0 * hidden
        return history
"""
GRADIENT = """
    'Leaves gradients while it localizes.'
    def localize(self, model, split, place):
        from unlearnbench.model.reading import answer_loss
        answer_loss(model, [(f.prompt, f.answer) for f in split.forget[:2]]).backward()
        return Localization.of(model, ['mlp.1'])
"""
MASKED = """
    'Forgets a hook on a tensor.'
    def localize(self, model, split, place):
        name = model.components['mlp.1'].parameters[0]
        model.parameters[name].register_hook(lambda gradient: 0 * gradient)
        return Localization.of(model, ['mlp.1'])
"""
SCALED = """
    'Scales the attention, which is no weight.'
    def edit(self, model, split, where, place):
        history = super().edit(model, split, where, place)
        model.network.get_submodule(model.components['attention.0'].path).scaling *= 0.5
        return history
"""
SILENT = """
    'Returns nothing.'
    def localize(self, model, split, place):
        pass
"""
ENDING = """
    'Ends the program.'
    def edit(self, model, split, where, place):
        import sys
        sys.exit(3)
"""


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        pytest.param(ESCAPING, "outside its localization", id="writes outside its localization"),
        pytest.param(CARELESS, "the model is not what it was before", id="leaves a change behind"),
        pytest.param(HOOKED, "another number of hooks", id="forgets a hook"),
        pytest.param(BUFFERED, "buffer", id="changes a buffer"),
        pytest.param(REPLACED, "'lm_head' (Linear) was replaced", id="replaces a module"),
        pytest.param(PATCHED, "another forward pass", id="replaces a forward pass"),
        pytest.param(GRADIENT, "gradient hooks", id="leaves gradients"),
        pytest.param(MASKED, "gradient hooks", id="forgets a hook on a tensor"),
        pytest.param(SCALED, "its answers are not", id="scales the attention"),
        pytest.param(SILENT, "localize() of own returned None", id="returns nothing"),
        pytest.param(ENDING, "sys.exit: 3", id="ends the program"),
    ],
)
def test_a_method_that_damages_the_model_fails_by_name_and_the_next_run_is_clean(
    body: str,
    complaint: str,
    run: Callable[..., int],
    own_method: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    hashes: Callable[[Path], dict[str, str]],
) -> None:
    own_method(body)

    code = run("--include", "mine", "--methods", "own,none", "-o", "out")
    shown = capsys.readouterr().err
    run("--methods", "none", "-o", "alone")

    assert code == 1
    assert complaint in shown
    assert "own[steps=2] · sports:people-16 · seed 0: FAILED" in shown
    assert "Traceback" not in shown
    found = hashes(Path("out"))
    assert {key: found.get(key) for key in hashes(Path("alone"))} == hashes(Path("alone"))
    assert len(found) == 1, "what failed leaves no record"


@pytest.mark.parametrize("words", [["--debug", "run"], ["run", "--debug"]])
def test_with_debug_the_traceback_of_a_method_that_fails_is_shown(
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    own_method: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    quick: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    own_method("'Fails.'\ndef localize(self, model, split, place):\n    raise RuntimeError('deep inside')\n")

    assert main([*words, "--include", "mine", "--methods", "own", *quick, "-o", "out"]) == 1

    shown = capsys.readouterr().err
    assert "Traceback" in shown
    assert "own.py" in shown


def test_a_method_that_leaves_a_hook_has_no_record_though_its_tasks_were_asked(
    run: Callable[..., int], own_method: Callable[..., None]
) -> None:
    own_method(HOOKED)

    assert run("--include", "mine", "--methods", "own", "-o", "out") == 1

    assert store.result_files(Path("out")) == []


def test_another_code_of_a_method_is_another_run_and_another_comment_is_not(
    run: Callable[..., int], own_method: Callable[..., None], hashes: Callable[[Path], dict[str, str]]
) -> None:
    source = "'Full fine-tuning by another name.'\n"
    counts = []

    for text in (source, source + "# a comment\n", "'Another sentence.'\n", source + "extra = 1\n"):
        own_method(text)
        assert run("--include", "mine", "--methods", "own", "-o", "out") == 0
        counts.append(len(hashes(Path("out"))))

    assert counts == [1, 1, 1, 2]
