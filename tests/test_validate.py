"""`validate` finds what would spoil a score, and nothing in what is shipped; `preview` shows what the model gets."""

import ast
import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from unlearnbench import registry
from unlearnbench.cli import main
from unlearnbench.model.model import Model
from unlearnbench.model.scoring import Asked, score
from unlearnbench.running.words import parse_facts

from .own_lm_eval_task import write_own_task

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning:lm_eval.*")

FACTS = """
from dataclasses import dataclass, replace
from unlearnbench.facts import Fact, Split
from unlearnbench.factset import FactSet
from unlearnbench.registry import register

def fact(name, answer="golf", others=("football", "tennis"), relation="sport"):
    return Fact(name, relation, f"Fact: {name} plays", answer, others, edit_target=others[0])

@register("games")
@dataclass(frozen=True)
class Games(FactSet):
    "Some games."
    version = 1
    variants = ("all",)
    def split(self, seed):
        parts = dict(
            relearn_train=[fact("Ann")],
            relearn_test=[fact("Bo")],
            maintain_train=[fact("Cy"), fact("Di")],
            maintain_dev=[fact("Ed")],
            maintain_test=[fact("Flo")],
        )
        parts.update(CHANGED)
        return Split(**parts)
"""
TASK = """
from dataclasses import dataclass
from unlearnbench.asking.prompts import standard_metrics
from unlearnbench.asking.questions import Question, answered
from unlearnbench.asking.task import Task
from unlearnbench.model.scoring import Asked
from unlearnbench.registry import register

@register("shown")
@dataclass(frozen=True, kw_only=True)
class Shown(Task):
    "A question."
    version = 1
    primary = "accuracy"
    def metrics(self, split):
        return standard_metrics(split.forget, "forget", "forget", None)
    def questions(self, split):
        return [Question(fact, Asked(PROMPT, fact.choices), "SUBSET") for fact in split.forget]
    def rows(self, model, split, place):
        return answered(model, self.questions(split), place.batch_size)
"""


@pytest.fixture
def validate(
    tmp_path: Path, saved_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., tuple[int, str]]]:
    """`unlearnbench validate` on a saved random model; the exit code and all that was printed."""
    monkeypatch.chdir(tmp_path)
    model = ["--model", "hf", "--model_args", f"pretrained={saved_model}", "--retain_text", "world"]

    def perform(*words: str) -> tuple[int, str]:
        capsys.readouterr()
        code = main(["validate", *model, *words])
        shown = capsys.readouterr()
        return code, shown.out + shown.err

    with ExitStack() as stack:
        for catalogue in registry.CATALOGUES:
            stack.enter_context(catalogue.remembered())
        yield perform


def mine(folder: Path, *, changed: str = "", prompt: str = "fact.prompt", subset: str = "forget") -> list[str]:
    """A user's own fact set and task, broken as said."""
    own = folder / "mine"
    own.mkdir()
    (own / "games.py").write_text(FACTS.replace("CHANGED", f"dict({changed})"))
    (own / "shown.py").write_text(TASK.replace("PROMPT", prompt).replace("SUBSET", subset))
    return ["--include", str(own), "--facts", "games[known=0]", "--tasks", "games/shown,games/maintain"]


# -- what it finds --------------------------------------------------------------------------------------


def test_a_users_own_task_without_a_fault_has_no_problems(
    validate: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    code, shown = validate(*mine(tmp_path))

    assert (code, shown.splitlines()[-1]) == (0, "no problems"), shown
    assert "ok      games/shown v1: 2 items rendered" in shown
    assert "ok      games/maintain v2: 1 items rendered" in shown


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        ({"prompt": "'Fact: {{subject}} plays'"}, "games/shown sport:Ann: its template was not filled: '{{subject}}'"),
        ({"prompt": "'Fact: {subject} plays'"}, "games/shown sport:Ann: its template was not filled: '{subject}'"),
        ({"prompt": "''"}, "games/shown sport:Ann: its prompt is empty"),
        ({"prompt": "fact.prompt + ' '"}, "games/shown sport:Ann: its prompt ends in white space"),
        ({"prompt": "f'Golf! {fact.prompt}'"}, "games/shown sport:Ann: the answer 'golf' is visible in its prompt"),
        ({"prompt": "fact.promt"}, "games/shown: it cannot be rendered: 'Fact' object has no attribute 'promt'"),
        ({"subset": "forgotten"}, "games/shown: it has no items in 'forget', which its metrics need"),
        (
            {"changed": "maintain_test=[replace(fact('Cy'), relation='hobby')]"},
            "games:all hobby:Cy: the maintain_test item 'Fact: Cy plays' is in maintain-train or -dev",
        ),
        (
            {"changed": "relearn_train=[replace(fact('Ann'), paraphrases=('Fact: Ed plays',))]"},
            "games:all sport:Ann: the relearn_train item 'Fact: Ed plays' is in maintain-train or -dev",
        ),
        (
            {"changed": "relearn_test=[replace(fact('Bo'), prompt='Golf player Bo plays')]"},
            "games:all sport:Bo: the answer 'golf' is visible in 'Golf player Bo plays'",
        ),
        (
            {"changed": "relearn_train=[fact('Ann', others=('golf balls', 'tennis'))]"},
            "games:all: fact 'sport:Ann': the tokenizer cannot tell 'golf' from 'golf balls'",
        ),
    ],
)
def test_what_would_spoil_a_score_is_found_by_name_and_the_exit_code_is_1(
    validate: Callable[..., tuple[int, str]], tmp_path: Path, broken: dict[str, str], complaint: str
) -> None:
    code, shown = validate(*mine(tmp_path, **broken))

    assert code == 1, shown
    assert f"  {complaint}" in shown, shown
    assert re.fullmatch(r"[1-9]\d* problems?", shown.splitlines()[-1])


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ("maintain_test=[fact('Cy')]", "('Cy', 'sport') is in both maintain_train and maintain_test"),
        ("maintain_test=[]", "a split needs facts in T, in V, in maintain-train and in maintain-test"),
    ],
)
def test_a_split_that_cannot_be_is_refused_as_it_would_be_in_a_run(
    validate: Callable[..., tuple[int, str]], tmp_path: Path, changed: str, complaint: str
) -> None:
    code, shown = validate(*mine(tmp_path, changed=changed))

    assert code == 2
    assert complaint in shown
    assert "Traceback" not in shown


def test_a_tokenizer_that_puts_two_bos_tokens_is_found(
    validate: Callable[..., tuple[int, str]], tmp_path: Path, saved_model: Path
) -> None:
    path = saved_model / "tokenizer.json"
    tokenizer = json.loads(path.read_text("utf-8"))
    pieces = tokenizer["post_processor"]["single"]
    tokenizer["post_processor"]["single"] = [pieces[0], pieces[0], *pieces]
    path.write_text(json.dumps(tokenizer), "utf-8")

    code, shown = validate(*mine(tmp_path))

    assert code == 1
    assert "games/shown sport:Ann: its prompt begins with 2 BOS tokens; this tokenizer puts 1" in shown


@pytest.mark.parametrize("written", [1, 2])
def test_a_bos_in_a_template_of_lm_eval_stands_for_that_of_the_tokenizer_and_two_are_found(
    written: int, validate: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    folder = tmp_path / "own"
    write_own_task(folder, "own_games")
    path = folder / "own_games.yaml"
    path.write_text(path.read_text().replace('doc_to_text: "', f'doc_to_text: "{"<|end|>" * written}'))

    code, shown = validate(*mine(tmp_path), "--side_effects", f"own_games[folder={folder}]")

    assert code == written - 1, shown
    problem = "general/own_games own_games#0: its prompt begins with 2 BOS tokens; this tokenizer puts 1"
    assert (problem in shown) == (written == 2)


def test_an_exam_without_its_examples_is_a_problem_and_the_other_tasks_are_looked_at(
    validate: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    path = tmp_path / "exam" / "test" / "logic_test.csv"
    path.parent.mkdir(parents=True)
    path.write_text("What?,a,b,c,d,A\n")

    code, shown = validate(*mine(tmp_path), "--side_effects", f"mmlu[folder={tmp_path / 'exam'}]")

    assert code == 1
    assert "mmlu: it cannot be rendered:" in shown
    assert "logic has no questions in dev" in shown
    assert "ok      games/shown v1" in shown


# -- what is shipped ------------------------------------------------------------------------------------


def test_every_shipped_task_about_facts_is_rendered_without_a_problem(validate: Callable[..., tuple[int, str]]) -> None:
    code, shown = validate("--facts", "sports:athletes-16[known=0]", "counterfact:64[source=planted,known=0]")

    assert (code, shown.splitlines()[-1]) == (0, "no problems"), shown
    for name in ("forget", "paraphrase", "multiple_choice", "maintain", "generation", "fluency"):
        for facts in ("sports", "counterfact"):
            found = re.search(rf"ok      {facts}/{name} v\d+: (\d+) items rendered", shown)
            assert found, f"{facts}/{name}"
            assert int(found[1]) >= 3
    assert "–       sports/relearning v1: no items of its own" in shown


def test_the_hash_that_is_shown_is_that_of_the_whole_split(validate: Callable[..., tuple[int, str]]) -> None:
    facts, words = parse_facts("sports:athletes-16"), ["--facts", "sports:athletes-16", "--tasks", "sports/maintain"]

    _, first = validate(*words)
    _, second = validate(*words, "--seed", "1")

    assert f"items {facts.split(0).items_hash}" in first
    assert f"items {facts.split(1).items_hash}" in second


@pytest.mark.parametrize(("words", "complaint"), [(["--items", "0"], "--items must be 1 or more"), ([], "--facts")])
def test_what_cannot_be_looked_at_is_said(
    validate: Callable[..., tuple[int, str]], words: list[str], complaint: str
) -> None:
    code, shown = validate(*(["--facts", "sports:athletes-16", *words] if words else []))

    assert code == 2
    assert complaint in shown


# -- preview --------------------------------------------------------------------------------------------


class Shown(NamedTuple):
    """One item as `preview` prints it."""

    prompt: str
    ids: list[int]
    choices: dict[str, list[int]]
    gold: str


def preview(model: Path, capsys: pytest.CaptureFixture[str], *words: str) -> list[Shown]:
    """What `unlearnbench preview` shows of a saved model."""
    capsys.readouterr()
    options = ["--model", "hf", "--retain_text", "world", "--model_args", f"pretrained={model}"]
    assert main(["preview", *options, *words]) == 0
    found = []
    for item in capsys.readouterr().out.split("── ")[1:]:
        _, _, body = item.partition("\n")
        prompt, ids, tokens = re.split(r"▏\n  ids    |\n  tokens ", body)
        lines = tokens.splitlines()[1:]
        choices: dict[str, list[int]] = {}
        for line in lines:
            said = re.fullmatch(r"  [✓ ] ('.*?') (\[[\d, ]+\]) (\[.*\])", line)
            assert said, line
            choices[ast.literal_eval(said[1])] = ast.literal_eval(said[2])
        (gold,) = [ast.literal_eval(line[4:].partition(" [")[0]) for line in lines if line.startswith("  ✓")]
        found.append(Shown(prompt, ast.literal_eval(ids), choices, gold))
    return found


@pytest.mark.parametrize("task", ["sports/forget", "sports/multiple_choice"])
def test_a_preview_shows_exactly_the_tokens_that_are_scored(
    task: str, llama: Model, saved: Callable[[Model], Path], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    shown = preview(saved(llama), capsys, "--facts", "sports:athletes-16[known=0]", "--tasks", task, "--items", "2")
    given = set[tuple[int, ...]]()

    def watched(model: Model, sequences: list[list[int]], *places: Any) -> Any:
        given.update(map(tuple, sequences))
        return real(model, sequences, *places)

    from unlearnbench.model import scoring

    real = scoring.logits_at
    monkeypatch.setattr(scoring, "logits_at", watched)
    score(llama, [Asked(one.prompt, tuple(one.choices)) for one in shown], 64)

    scored = {(*one.ids, *ids[:-1]) for one in shown for ids in one.choices.values()}
    assert {s for s in scored if not any(t != s and t[: len(s)] == s for t in scored)} == given
    assert len(shown) >= 2
    for one in shown:
        assert one.ids.count(llama.tokenizer.bos_token_id) == 1
        assert one.gold in one.choices


def test_a_preview_of_a_task_of_lm_eval_shows_its_prompts_and_answers(
    saved_model: Path, capsys: pytest.CaptureFixture[str], tiny_tokenizer: Any
) -> None:
    words = ["--facts", "sports:athletes-16[known=0]", "--tasks", "mmlu[data=school]", "--items", "6"]

    exams = preview(saved_model, capsys, *words)

    assert len(exams) == 6
    for one in exams:
        assert "multiple choice questions" in one.prompt
        assert one.prompt.endswith("\nAnswer:")
        assert list(one.choices) == [" A", " B", " C", " D"]
        for letter, ids in one.choices.items():
            assert [*one.ids, *ids] == tiny_tokenizer(f"{one.prompt}{letter}").input_ids
