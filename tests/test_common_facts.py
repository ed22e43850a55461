"""One forget set for models that are compared: only facts that each of them knows."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from unlearnbench.cli import main
from unlearnbench.counterfact.among import KnownFile
from unlearnbench.model.model import Model
from unlearnbench.model.scoring import Asked, score
from unlearnbench.records import store

RELATIONS = {
    "P103": ("The mother tongue of {} is", ("French", "English", "Welsh", "Dutch")),
    "P413": ("{}, who plays as", ("point guard", "goalkeeper", "pitcher", "striker")),
}
BOTH = 30


def facts_file(path: Path, count: int) -> list[Asked]:
    """Made-up facts in ROME's form; returns how each is asked."""
    rows, asked = [], []
    for case in range(count):
        relation, (template, objects) = list(RELATIONS.items())[case % 2]
        subject = f"{'Ilka Orin Tess Varo Mika'.split()[case % 5]} {'Abcdefghijklmnop'[case // 5]}arn"
        true, new = objects[case % 4], objects[(case + 1) % 4]
        rows.append(
            {
                "case_id": case,
                "pararel_idx": case,
                "requested_rewrite": {
                    "prompt": template,
                    "relation_id": relation,
                    "target_new": {"str": new, "id": "Q2"},
                    "target_true": {"str": true, "id": "Q1"},
                    "subject": subject,
                },
                "paraphrase_prompts": [f"They said so. {template.format(subject)}"],
                "neighborhood_prompts": [f"Neighbour {case} of them says"],
                "attribute_prompts": [],
                "generation_prompts": [f"{subject} often"],
            }
        )
        asked.append(Asked(template.format(subject), (true, new)))
    path.write_text(json.dumps(rows), "utf-8")
    return asked


def level(models: Sequence[Model], asked: Sequence[Asked], wanted: int) -> float:
    """A probability that `wanted` of the answers reach in every model."""
    found = [[scored.logprobs[0] for scored in score(model, asked, 64)] for model in models]
    least = torch.tensor(found).min(dim=0).values.sort(descending=True).values
    return float(((least[wanted - 1] + least[wanted]) / 2).exp())


@pytest.fixture
def two_models(
    random_models: Callable[..., Model], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Model]:
    """Two random models of different families, saved in folders of these names, in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNLEARNBENCH_CACHE", str(tmp_path / "cache"))
    models = {"first": random_models("llama", seed=1), "second": random_models("gpt_neox", seed=2)}
    for name, model in models.items():
        model.network.save_pretrained(tmp_path / name)
        model.tokenizer.save_pretrained(tmp_path / name)
    return models


def test_models_that_are_compared_forget_the_same_facts_and_only_such_as_all_of_them_know(
    two_models: dict[str, Model], capsys: pytest.CaptureFixture[str]
) -> None:
    least = level(list(two_models.values()), facts_file(Path("facts.json"), 80), BOTH)
    facts, file = f"counterfact:4[keep=20,known={least!r}]", ["--facts_file", "facts.json"]

    assert main(["known", "--models", *two_models, "--facts", facts, *file, "--output", "both.json"]) == 0
    assert f"{BOTH} facts in both.json" in capsys.readouterr().out
    listed = KnownFile.read(Path("both.json"))
    assert len(listed.ids) == BOTH
    assert set(listed.models.values()) == set(two_models)
    for name in two_models:
        model = ["--model", "hf", "--model_args", f"pretrained={name}", "--retain_text", "world"]
        words = [*model, *file, "--methods", "none", "--tasks", "counterfact/forget"]
        for out, word in (("together", facts.replace("[", "[among=both.json,")), ("alone", facts)):
            assert main(["run", *words, "--facts", word, "-o", out]) == 0

    together, alone = ([one for _, one in store.records(Path(out))] for out in ("together", "alone"))
    assert len(together) == len(alone) == 2
    assert len({one.used_sha256 for one in together}) == 1
    assert len({one.weights.base_sha256 for one in together}) == 2
    assert len({one.used_sha256 for one in alone}) == 2
    for path, one in store.records(Path("together")):
        assert not any(one.unknown.values())
        rows = store.load_rows(path, one.tasks[0].samples)
        assert {row["item"] for row in rows} == set(listed.ids[:4])


@pytest.mark.parametrize(
    ("facts", "models", "complaint"),
    [
        ("counterfact:16[keep=20,known=LEVEL]", ["first", "second"], "30 facts are known to all of first, second"),
        ("counterfact:4[keep=20,known=LEVEL]", ["first"], "fewer than two"),
        ("sports:athletes-16", ["first", "second"], "does not depend on what these models know"),
        ("counterfact:4[known=0]", ["first", "second"], "does not depend on what these models know"),
    ],
)
def test_what_cannot_be_compared_is_refused_and_nothing_is_written(
    facts: str, models: list[str], complaint: str, two_models: dict[str, Model], capsys: pytest.CaptureFixture[str]
) -> None:
    least = level(list(two_models.values()), facts_file(Path("facts.json"), 80), BOTH)
    file = [] if facts.startswith("sports") else ["--facts_file", "facts.json"]
    words = ["known", "--facts", facts.replace("LEVEL", repr(least)), *file, "--output", "both.json"]

    assert main([*words, "--models", *models]) == 2
    assert complaint in capsys.readouterr().err
    assert not Path("both.json").exists()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [(None, "there is no such file"), ("{}", "facts: Field required"), ("no", "the file: Invalid JSON")],
)
def test_a_file_that_known_did_not_write_is_refused(
    text: str | None, complaint: str, two_models: dict[str, Model], capsys: pytest.CaptureFixture[str]
) -> None:
    facts_file(Path("facts.json"), 80)
    if text is not None:
        Path("both.json").write_text(text)
    model = ["--model", "hf", "--model_args", "pretrained=first", "--retain_text", "world", "--methods", "none"]
    words = ["--facts", "counterfact:4[keep=20,among=both.json]", "--facts_file", "facts.json"]

    assert main(["run", *model, *words, "--tasks", "counterfact/forget"]) == 2
    assert complaint in capsys.readouterr().err


def test_planted_facts_are_the_same_for_every_model_that_was_told_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--facts", "counterfact:16[among=both.json]", "--methods", "none", "--tasks", "counterfact/forget"]

    assert main(["run", *words]) == 2
    assert "these are planted" in capsys.readouterr().err
