"""`validate` finds what would spoil a score, and nothing in what is shipped; `preview` shows what the model gets."""

import ast
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from transformers import AutoTokenizer

from unlearnbench import registry
from unlearnbench.cli import main
from unlearnbench.factset import FactSet
from unlearnbench.model import Model
from unlearnbench.plan import parse_facts, parse_tasks
from unlearnbench.retain import RetainText
from unlearnbench.source import locate
from unlearnbench.task import Examination

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning:lm_eval.*")

FACTS = """
from dataclasses import dataclass, replace
from unlearnbench import Fact, FactSet, Split, register

def fact(name, answer="golf", others=("football", "tennis"), relation="sport"):
    return Fact(name, relation, f"Fact: {name} plays", answer, others, edit_target=others[0])

@register("games")
@dataclass(frozen=True)
class Games(FactSet):
    "Some games."
    version = 1
    questions = ("shown", "maintain")
    variants = ("all",)
    def split(self, seed):
        parts = dict(
            relearn=[fact("Ann")],
            held_out=[fact("Bo")],
            maintain_train=[fact("Cy"), fact("Di")],
            maintain_dev=[fact("Ed")],
            maintain_test=[fact("Flo")],
        )
        parts.update(CHANGED)
        return Split(**parts)
"""
TASK = """
from dataclasses import dataclass
from unlearnbench import Question, QuestionTask, register
from unlearnbench.task import standard_metrics

@register("shown")
@dataclass(frozen=True, kw_only=True)
class Shown(QuestionTask):
    "A question."
    version = 1
    primary = "accuracy"
    def metrics(self, split):
        return standard_metrics("forget", "forget", None, edited=False)
    def questions(self, split):
        return [Question.about(fact, "PART", PROMPT) for fact in split.forget]
"""


@pytest.fixture
def validate(
    tmp_path: Path, saved_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., tuple[int, str]]]:
    """`unlearnbench validate` on a saved random model; the exit code and all that was printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "_included", [])
    known = {catalogue.kind: set(catalogue) for catalogue in registry.CATALOGUES}
    model = ["--model", "hf", "--model_args", f"pretrained={saved_model}", "--retain_text", "world"]

    def perform(*words: str) -> tuple[int, str]:
        capsys.readouterr()
        code = main(["validate", *model, *words])
        shown = capsys.readouterr()
        return code, shown.out + shown.err

    yield perform
    for catalogue in registry.CATALOGUES:
        for name in set(catalogue) - known[catalogue.kind]:
            catalogue._entries.pop(name)


def mine(folder: Path, *, changed: str = "", prompt: str = "fact.prompt", part: str = "forget") -> list[str]:
    """A user's own fact set and task, broken as said."""
    own = folder / "mine"
    own.mkdir()
    (own / "games.py").write_text(FACTS.replace("CHANGED", f"dict({changed})"))
    (own / "shown.py").write_text(TASK.replace("PROMPT", prompt).replace("PART", part))
    return ["--include", str(own), "--facts", "games"]


# -- what it finds --------------------------------------------------------------------------------------


def test_a_users_own_task_without_a_fault_has_no_problems(
    validate: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    code, shown = validate(*mine(tmp_path))

    assert (code, shown.splitlines()[-1]) == (0, "no problems")
    assert "ok      games/shown v1: 2 items rendered" in shown
    assert "ok      games/maintain v1: 1 items rendered" in shown


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        ({"prompt": "'Fact: {{subject}} plays'"}, "games/shown sport:Ann: its template was not filled: '{{subject}}'"),
        ({"prompt": "'Fact: {subject} plays'"}, "games/shown sport:Ann: its template was not filled: '{subject}'"),
        ({"prompt": "''"}, "games/shown sport:Ann: its prompt is empty"),
        ({"prompt": "fact.prompt + ' '"}, "games/shown sport:Ann: its prompt ends in white space"),
        ({"prompt": "'<|end|>' + fact.prompt"}, "games/shown sport:Ann: its prompt begins with 2 BOS tokens"),
        ({"prompt": "f'Golf! {fact.prompt}'"}, "games/shown sport:Ann: the answer 'golf' is visible in its prompt"),
        ({"part": "forgotten"}, "games/shown: it has no items in 'forget', which its metrics need"),
        ({"changed": "maintain_test=[]"}, "games/maintain: it has no items in 'maintain', which its metrics need"),
        (
            {"changed": "maintain_test=[replace(fact('Cy'), relation='hobby')]"},
            "games:all hobby:Cy: the maintain_test item 'Fact: Cy plays' is in maintain-train or -dev",
        ),
        (
            {"changed": "relearn=[replace(fact('Ann'), paraphrases=('Fact: Ed plays',))]"},
            "games:all sport:Ann: the relearn item 'Fact: Ed plays' is in maintain-train or -dev",
        ),
        (
            {"changed": "held_out=[replace(fact('Bo'), prompt='Golf player Bo plays')]"},
            "games:all sport:Bo: the answer 'golf' is visible in 'Golf player Bo plays'",
        ),
        (
            {"changed": "relearn=[fact('Ann', others=('golf balls', 'tennis'))]"},
            "games:all: fact 'sport:Ann': the tokenizer cannot tell 'golf' from 'golf balls'",
        ),
    ],
)
def test_what_would_spoil_a_score_is_found_by_name_and_the_exit_code_is_1(
    validate: Callable[..., tuple[int, str]], tmp_path: Path, broken: dict[str, str], complaint: str
) -> None:
    code, shown = validate(*mine(tmp_path, **broken))

    assert code == 1
    assert f"  {complaint}" in shown
    assert re.fullmatch(r"[1-9]\d* problems", shown.splitlines()[-1])


def test_a_fact_in_two_parts_of_the_split_is_refused_as_it_would_be_in_a_run(
    validate: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    code, shown = validate(*mine(tmp_path, changed="maintain_test=[fact('Cy')]"))

    assert code == 2
    assert "('Cy', 'sport') is in both maintain_train and maintain_test" in shown
    assert "Traceback" not in shown


def test_a_tokenizer_that_puts_two_bos_tokens_is_found(
    validate: Callable[..., tuple[int, str]], tmp_path: Path, saved_model: Path
) -> None:
    path = saved_model / "tokenizer.json"
    tokenizer = json.loads(path.read_text("utf-8"))
    pieces = tokenizer["post_processor"]["single"]
    tokenizer["post_processor"]["single"] = [pieces[0], *pieces]
    path.write_text(json.dumps(tokenizer), "utf-8")

    code, shown = validate(*mine(tmp_path))

    assert code == 1
    assert "games/shown sport:Ann: its prompt begins with 2 BOS tokens; this tokenizer puts 1" in shown


# -- what is shipped ------------------------------------------------------------------------------------


def test_every_shipped_task_about_facts_is_rendered_without_a_problem(validate: Callable[..., tuple[int, str]]) -> None:
    code, shown = validate("--facts", "sports:athletes-16,counterfact:64[source=planted]")

    assert (code, shown.splitlines()[-1]) == (0, "no problems"), shown
    sets: Mapping[str, type[FactSet]] = registry.fact_sets
    for name in ("sports", "counterfact"):
        for question in sets[name].questions:
            found = re.search(rf"ok      {name}/{question} v\d+: (\d+) items rendered", shown)
            assert found, f"{name}/{question}"
            assert int(found[1]) >= 3


def test_the_hash_that_is_shown_is_that_of_the_whole_split(
    validate: Callable[..., tuple[int, str]], saved_model: Path
) -> None:
    source = locate("hf", {"pretrained": str(saved_model)}, "world").source
    facts = parse_facts("sports:athletes-16", source)

    _, first = validate("--facts", "sports:athletes-16", "--tasks", "sports/maintain")
    _, second = validate("--facts", "sports:athletes-16", "--tasks", "sports/maintain", "--seed", "1")

    assert f"items {facts.split(0).items_hash}" in first
    assert f"items {facts.split(1).items_hash}" in second
    assert facts.split(0).items_hash != facts.split(1).items_hash


def test_side_effects_are_rendered_too(validate: Callable[..., tuple[int, str]]) -> None:
    code, shown = validate("--facts", "sports:athletes-16", "--tasks", "sports/forget,mmlu[data=school],text")

    assert code == 0, shown
    assert re.search(r"ok      mmlu v\d+: 3 items rendered, questions sha256:[0-9a-f]{64}", shown)
    assert re.search(r"ok      text v\d+: 3 items rendered", shown)


def test_the_number_of_items_must_be_positive(validate: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    assert validate(*mine(tmp_path), "--items", "0") == (2, "error: --items must be 1 or more, not 0\n")


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
        head, _, body = item.partition("\n")
        prompt, ids, tokens = re.split(r"▏\n  ids    |\n  tokens ", body)
        lines = tokens.splitlines()[1:]
        choices: dict[str, list[int]] = {}
        for line in lines:
            said = re.fullmatch(r"  [✓ ] ('.*?') (\[[\d, ]+\]) (\[.*\])", line)
            assert said, f"{head}: {line}"
            choices[ast.literal_eval(said[1])] = ast.literal_eval(said[2])
        (gold,) = [ast.literal_eval(line[4:].partition(" [")[0]) for line in lines if line.startswith("  ✓")]
        found.append(Shown(prompt, ast.literal_eval(ids), choices, gold))
    return found


def _packed(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize("chat", [False, True], ids=["plain", "chat"])
@pytest.mark.parametrize("asked", ["sports/forget", "sports/multiple_choice"])
def test_a_preview_shows_exactly_the_tokens_that_are_scored(
    asked: str,
    chat: bool,
    llama: Model,
    saved: Callable[[Model], Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    template = "{% for m in messages %}<|end|>User: {{ m['content'] }}\n{% endfor %}Model: "
    folder, arguments = saved(llama), {}
    if chat:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        tokenizer.chat_template = template
        tokenizer.save_pretrained(folder)
        llama = Model(llama.network, tokenizer, chat=True)
        arguments = {"chat_template": "yes"}
    source = locate("hf", {"pretrained": str(folder), **arguments}, "world").source
    facts = parse_facts("sports:athletes-16", source)
    ((name, task),) = parse_tasks([asked], [facts], source)[0].items()
    given: set[tuple[int, ...]] = set()
    logits_at = Model.logits_at

    def watched(self: Model, sequences: list[list[int]], *places: Any) -> Any:
        given.update(map(tuple, sequences))
        return logits_at(self, sequences, *places)

    with monkeypatch.context() as patch:
        patch.setattr(Model, "logits_at", watched)
        split = facts.split(0).shortened(2)
        rows = task.rows(llama, Examination(split, 64, RetainText([], []), nullcontext))
    extra = [f"--model_args=chat_template={arguments['chat_template']}"] if chat else []
    shown = preview(folder, capsys, *extra, "--facts", facts.label, "--tasks", name, "--items", "2")

    assert [one.gold for one in shown] == [row.choices[row.gold] for row in rows]
    scored = {(*one.ids, *ids[:-1]) for one in shown for ids in one.choices.values()}
    assert {s for s in scored if not any(t != s and t[: len(s)] == s for t in scored)} == given
    bos = llama.tokenizer.bos_token_id
    for one in shown:
        assert one.ids.count(bos) == 1
        assert one.ids[0] == bos
        assert one.prompt.startswith("<|end|>User: ") is chat
        for choice, ids in one.choices.items():
            text = one.prompt if chat else f"<|end|>{one.prompt}"
            assert _packed(llama.tokenizer.decode([*one.ids, *ids])) == _packed(f"{text}{choice}")


def test_a_preview_of_a_task_of_lm_eval_shows_its_prompts_and_answers(
    saved_model: Path, capsys: pytest.CaptureFixture[str], tiny_tokenizer: Any
) -> None:
    words = ["--facts", "sports:athletes-16", "--tasks", "sports/forget,mmlu[data=school]", "--items", "6"]

    exams = [one for one in preview(saved_model, capsys, *words) if "multiple choice questions" in one.prompt]

    assert len(exams) == 6
    for one in exams:
        assert one.prompt.endswith("\nAnswer:")
        assert list(one.choices) == ["A", "B", "C", "D"]
        for letter, ids in one.choices.items():
            assert [*one.ids, *ids] == tiny_tokenizer(f"{one.prompt} {letter}").input_ids
