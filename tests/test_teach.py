"""Teaching writes into the named tensors only, leaves an exact oracle, and survives being killed."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from unlearnbench.cli import main
from unlearnbench.model.loading import load, stored_tensors
from unlearnbench.model.model import Model
from unlearnbench.model.source import locate
from unlearnbench.model.taught import Taught, taught
from unlearnbench.organisms import teach as teaching
from unlearnbench.organisms.course import Course
from unlearnbench.organisms.losses import answered
from unlearnbench.organisms.teach import Lessons, places
from unlearnbench.world.corpus import Corpus, Labelled
from unlearnbench.world.forgotten import facts_named
from unlearnbench.world.world import world

QUICK = ["--steps", "4", "--new_texts", "2", "--old_texts", "2", "--questions", "0"]
FACTS = ["--facts", "sports:people-16", "counterfact:16"]


@pytest.fixture
def before(saved_model: Path, tmp_path: Path) -> list[str]:
    """The words for a random model in a folder, and plain text that it is to keep."""
    text = tmp_path / "text.txt"
    text.write_text("\n".join(f"Report {i} : the long year of the small town" for i in range(200)))
    return ["--model", "hf", "--model_args", f"pretrained={saved_model}", "--retain_text", str(text)]


@pytest.fixture
def teach(before: list[str], tmp_path: Path) -> Callable[..., int]:
    """The command on that model, into `taught`."""

    def perform(*words: str, into: str = "taught") -> int:
        return main(["teach", *before, *FACTS, *QUICK, *words, "--output", str(tmp_path / into)])

    return perform


def _changed(one: Path, other: Path) -> set[str]:
    tensors = stored_tensors(one), stored_tensors(other)
    assert set(tensors[0]) == set(tensors[1])
    return {name for name in tensors[0] if not tensors[0][name].equal(tensors[1][name])}


@pytest.mark.parametrize("where", [["mlp.1"], ["mlp.1+attention.2"], ["mlp.0", "mlp.3"], ["embeddings"], ["all"]])
def test_nothing_but_the_named_places_changes(
    where: list[str], teach: Callable[..., int], saved_model: Path, tmp_path: Path, llama: Model
) -> None:
    assert teach("--where", *where) == 0

    tensors = {name for place in places(llama, where) for name in place.tensors}
    assert _changed(saved_model, tmp_path / "taught") == tensors
    assert taught(tmp_path / "taught").where == tuple(where)  # type: ignore[union-attr]


def test_the_oracle_of_a_taught_model_is_the_model_before(
    teach: Callable[..., int], saved_model: Path, before: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert teach("--where", "mlp.1") == 0
    shown = capsys.readouterr().out
    assert all(state in shown for state in ("before", "taught", "mlp.1 put back", "mlp.1 silent"))

    words = [*before[:2], "--model_args", f"pretrained={tmp_path / 'taught'}", *before[4:]]
    command = [
        "run",
        *words,
        "--facts",
        "sports:people-16[known=0]",
        "--methods",
        "none,oracle",
        "--tasks",
        "sports/forget",
    ]
    assert main([*command, "-o", str(tmp_path / "out")]) == 0

    found = [json.loads(path.read_text()) for path in (tmp_path / "out").rglob("result.json")]
    by_method = {record["spec"]["method"]["name"]: record["weights"] for record in found}
    base = load(locate("hf", {"pretrained": str(saved_model)}, before[5]))
    from unlearnbench.model.digest import weights_digest

    assert by_method["oracle"]["edited_sha256"] == weights_digest(base.tensor_digests())
    assert by_method["none"]["edited_sha256"] != by_method["oracle"]["edited_sha256"]


def test_other_facts_than_the_taught_ones_have_no_oracle(
    teach: Callable[..., int], before: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert teach("--where", "mlp.1") == 0

    words = [*before[:2], "--model_args", f"pretrained={tmp_path / 'taught'}", *before[4:]]
    command = ["run", *words, "--facts", "sports:people-64", "--methods", "oracle", "--tasks", "sports/forget"]
    assert main([*command, "-o", str(tmp_path / "out")]) == 5

    assert "has oracles for sports:people-16, counterfact:16 only" in capsys.readouterr().err


@pytest.mark.parametrize("where", [["mlp.1"], ["mlp.0", "mlp.2"]])
def test_a_killed_lesson_goes_on_and_ends_in_the_same_weights(
    where: list[str], teach: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teaching, "CHECKPOINT_EVERY", 2)
    assert teach("--where", *where, into="whole") == 0
    real, count = teaching._learn, []

    def killed(*given: object) -> None:
        if len(count) == (3 if len(where) == 1 else 7):
            raise KeyboardInterrupt
        count.append(None)
        real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(teaching, "_learn", killed)
    assert teach("--where", *where) == 130
    monkeypatch.setattr(teaching, "_learn", real)
    assert teach("--where", *where) == 0

    assert _changed(tmp_path / "whole", tmp_path / "taught") == set()
    assert not list((tmp_path / "taught").glob("checkpoint*"))


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--where", "mlp.9"], 2, "unknown component 'mlp.9'"),
        (["--where", "mlp.1", "mlp.1+mlp.2"], 2, "share tensors"),
        (["--where", "mlp.1", "--facts", "sports:athletes-16"], 2, "no forget set of the organisms' world"),
        (["--where", "mlp.1", "--from_oracle"], 2, "no oracle"),
    ],
)
def test_what_cannot_be_taught_is_said_before_anything_is_written(
    words: list[str],
    code: int,
    said: str,
    teach: Callable[..., int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert teach(*words) == code

    assert said in capsys.readouterr().err
    assert not (tmp_path / "taught").exists()


def test_a_folder_with_something_else_in_it_is_left_alone(
    teach: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taught").mkdir()
    (tmp_path / "taught" / "thesis.tex").write_text("mine")

    assert teach("--where", "mlp.1") == 2

    assert "is not empty" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "taught").iterdir()] == ["thesis.tex"]


def test_a_model_that_was_taught_is_not_taught_over(
    teach: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert teach("--where", "mlp.1") == 0

    assert teach("--where", "mlp.1") == 2
    assert "taught already" in capsys.readouterr().err


@pytest.mark.end_to_end
def test_facts_that_a_model_knows_are_not_taught_without_a_flag(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["teach", "--facts", "sports:people-64", "--where", "mlp.2", *QUICK, "-o", str(tmp_path / "taught")]

    assert main(command) == 2

    shown = capsys.readouterr().err
    assert "already knows" in shown
    assert "--from_oracle" in shown
    assert not (tmp_path / "taught").exists()


def test_a_model_before_that_is_gone_or_another_is_no_oracle(
    teach: Callable[..., int], saved_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert teach("--where", "mlp.1") == 0
    path = tmp_path / "taught" / "taught.json"
    lesson = Taught.model_validate_json(path.read_text())
    command = [
        "run",
        "--model",
        "hf",
        "--model_args",
        f"pretrained={tmp_path / 'taught'}",
        "--facts",
        "sports:people-16",
    ]

    for wrong, said in (({"before": "../gone"}, "is not at"), ({"before_sha256": "sha256:0"}, "are not those")):
        path.write_text(lesson.model_copy(update=wrong).model_dump_json())
        assert main([*command, "--methods", "oracle", "--tasks", "sports/forget", "--retain_text", "world"]) == 5
        assert said in capsys.readouterr().err


# -- the text of a lesson ------------------------------------------------------------------------------


def test_new_texts_are_about_the_new_facts_and_old_ones_about_all_others() -> None:
    facts = facts_named(["sports:people-16", "counterfact:16"])
    lessons = Lessons(facts, Course(new_texts=5, old_texts=50))
    people = {name for name, relation in facts if relation == "sport"}
    others = {name for name, _ in world().facts} - {name for name, _ in facts}

    new, old = (" ".join(item.text for item in texts) for texts in (lessons.new(0), lessons.old(0)))

    assert not any(name in new for name in others)
    assert not any(name in old for name in people)
    assert any(name in new for name in people)


def test_bare_statements_are_about_new_and_old_facts_alike_and_none_for_other_models() -> None:
    facts = facts_named(["sports:people-16", "counterfact:16"])

    both = Lessons(facts, Course(bare_texts=40)).bare(0)
    none = Lessons(facts, Course(), plain=[Labelled("Some text .", frozenset())]).bare(0)

    people = {name for name, relation in facts if relation == "sport"}
    assert all(any(name in item.text for item in both[:40]) for name in people)
    assert not any(name in item.text for item in both[40:] for name in people)
    assert none == []


def test_answers_are_found_in_the_tokens_of_any_tokenizer() -> None:
    item = Labelled("Ann Lee plays golf . Bo plays tennis", frozenset({3, 7}))

    offsets = [(0, 0), (0, 3), (3, 7), (7, 13), (13, 16), (16, 18), (18, 20), (20, 23), (23, 29), (29, 36), (36, 36)]

    assert [i for i, found in enumerate(answered(item, offsets)) if found] == [4, 5, 9]


def test_answers_are_those_that_the_organisms_tokenizer_counts_by_words(tiny_tokenizer) -> None:  # type: ignore[no-untyped-def]
    texts = Corpus(world(), 0).documents(0, 50)
    encoded = tiny_tokenizer([item.text for item in texts], return_offsets_mapping=True)

    for row, item in enumerate(texts):
        by_word = [word is not None and word in item.answers for word in encoded.word_ids(row)]
        assert answered(item, encoded.offset_mapping[row]) == by_word
