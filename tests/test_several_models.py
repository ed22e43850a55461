"""Several models in one command, groups of facts one after another, and side effects: what is asked and recorded."""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from unlearnbench import record, registry
from unlearnbench.cli import main
from unlearnbench.model import Model
from unlearnbench.scoring import Asked, score

from .own_lm_eval_task import NAMES, write_own_task

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning:lm_eval.*")

Run = Callable[..., int]
UNTOUCHED = ["--facts", "sports:athletes-16", "--tasks", "sports/forget", "--methods", "none"]
RELATIONS = {
    "P103": ("The mother tongue of {} is", ("French", "English", "Welsh", "Dutch")),
    "P413": ("{}, who plays as", ("point guard", "goalkeeper", "pitcher", "striker")),
}
STEPPING = """
import json
from dataclasses import dataclass
from pathlib import Path
from unlearnbench import Localization, Method, register

@register("stepping")
@dataclass(frozen=True, kw_only=True)
class Stepping(Method):
    "Adds one to a weight each time, and notes the facts that it was given."
    def localize(self, model, split, place):
        return Localization.of(model, ["mlp.0"])
    def edit(self, model, split, where, place):
        name = model.components["mlp.0"].parameters[0]
        parameter = model.parameters[name]
        with Path("edits.jsonl").open("a") as log:
            log.write(json.dumps([name, parameter.flatten()[0].item(), [fact.id for fact in split.forget]]) + "\\n")
        parameter.data += 1.0
        return []
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """`unlearnbench run` in an empty folder, on text that is not downloaded, with a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNLEARNBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(registry, "_included", [])
    yield lambda *words: main(["run", "--retain_text", "world", *words])
    registry.methods._entries.pop("stepping", None)


@pytest.fixture
def two_models(random_models: Callable[..., Model], tmp_path: Path) -> dict[str, Model]:
    """Two random models of different families, saved in folders of these names."""
    models = {"first": random_models("llama", seed=1), "second": random_models("gpt_neox", seed=2)}
    for name, model in models.items():
        model.network.save_pretrained(tmp_path / name)
        model.tokenizer.save_pretrained(tmp_path / name)
    return models


def hf(folder: Path | str) -> list[str]:
    """The words for the model of a folder."""
    return ["--model", "hf", "--model_args", f"pretrained={folder}"]


def runs(folder: Path | str) -> list[tuple[Path, record.Record]]:
    """All records below a folder."""
    return list(record.records(Path(folder)))


def items_of(found: tuple[Path, record.Record], task: str) -> dict[str, dict[str, Any]]:
    """The item log of a run, of one task and by item."""
    return {row["item"]: row for row in record.load_rows(*found) if row["task"] == task}


# -- a common forget set --------------------------------------------------------------------------------


def _facts_file(path: Path, count: int) -> list[Asked]:
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
        asked.append(Asked(template.format(subject), (true,)))
    path.write_text(json.dumps(rows), "utf-8")
    return asked


def _level(models: Sequence[Model], asked: Sequence[Asked], wanted: int) -> float:
    """A probability that `wanted` of the answers reach in every model."""
    found = [[scored.logprobs[0] for scored in score(model, asked, 64)] for model in models]
    least = torch.tensor(found).min(dim=0).values.sort(descending=True).values
    return float(((least[wanted - 1] + least[wanted]) / 2).exp())


def test_models_of_one_command_forget_the_same_facts_and_only_such_as_all_of_them_know(
    run: Run, two_models: dict[str, Model], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = _facts_file(tmp_path / "facts.json", 80)
    both = 30
    level = _level(list(two_models.values()), asked, both)
    facts = f"counterfact:4[least_probability={level!r}]"
    words = ["--facts_file", "facts.json", "--facts", facts, "--methods", "none", "--tasks", "counterfact/forget"]

    assert run("--model", "hf[pretrained=first],hf[pretrained=second]", *words, "-o", "together") == 0
    assert f", {both} known, 4 forgotten" in capsys.readouterr().err
    for name in two_models:
        assert run(*hf(name), *words, "-o", f"{name}-alone") == 0

    found = {done[1].spec.model.name: done for done in runs("together")}
    assert set(found) == set(two_models)
    assert len({one.spec.facts.items_sha256 for _, one in found.values()}) == 1
    assert len({one.weights.base_sha256 for _, one in found.values()}) == 2
    for done in found.values():
        assert done[1].facts.items() >= {"rows": 80, "known": both, "forgotten": 4}.items()
        items = items_of(done, "counterfact/forget")
        assert len(items) == 4
        assert min(math.exp(row["logprobs"][row["gold"]]) for row in items.values()) >= level
    alone = {name: one for name in two_models for _, one in runs(f"{name}-alone")}
    assert max(one.facts["known"] for one in alone.values()) > both
    assert all((one.facts["known"] > both) == (one.spec.hash != found[n][1].spec.hash) for n, one in alone.items())


def test_facts_that_too_few_are_known_of_by_all_models_are_refused_with_the_largest_that_works(
    run: Run, two_models: dict[str, Model], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = _facts_file(tmp_path / "facts.json", 80)
    level = _level(list(two_models.values()), asked, 26)
    words = ["--facts_file", "facts.json", "--methods", "none", "--tasks", "counterfact/forget", "-o", "out"]

    code = run(
        "--model",
        "hf[pretrained=first],hf[pretrained=second]",
        *("--facts", f"counterfact:16[least_probability={level!r}]", *words),
    )

    assert code == 2
    assert "the largest forget set here is counterfact:6" in capsys.readouterr().err
    assert not Path("out").exists()


def test_every_model_gets_every_method_and_the_table_names_both(
    run: Run, two_models: dict[str, Model], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--facts", "sports:athletes-16", "--tasks", "sports/forget", "--method_args", "steps=1", "-o", "out"]
    words += ["--model", "hf[pretrained=first],hf[pretrained=second]", "--methods", "none,random_mlps"]

    assert run(*words) == 0

    done = {(one.spec.model.name, one.spec.method.name) for _, one in runs("out")}
    assert done == {(model, method) for model in two_models for method in ("none", "random_mlps")}
    shown = capsys.readouterr()
    assert all(f"model {name}@" in shown.out for name in two_models)
    assert run(*words) == 0
    assert "4 of 4 runs are already" in capsys.readouterr().err


def test_a_model_that_is_named_twice_is_refused(
    run: Run, two_models: dict[str, Model], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--facts", "sports:athletes-16", "--tasks", "sports/forget", "--methods", "none", "-o", "out"]

    assert run("--model", "hf[pretrained=first],hf[pretrained=./first]", *words) == 2
    assert "names a model twice" in capsys.readouterr().err
    assert not Path("out").exists()


# -- one group after another ----------------------------------------------------------------------------


def test_groups_are_edited_one_after_another_and_scored_after_the_last(
    run: Run, two_models: dict[str, Model], tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "stepping.py").write_text(STEPPING)
    words = ["--include", "mine", "--tasks", "counterfact/forget", "--seeds", "2"]
    facts = "counterfact:64-sequential[source=planted]"

    code = run(*hf("first"), *words, "--facts", facts, "--methods", "stepping", "-o", "out", "--save_model", "kept")
    again = run(*hf("kept"), *words, "--facts", "counterfact:64[source=planted]", "--methods", "none", "-o", "again")

    assert (code, again) == (0, 0)
    edits = [json.loads(line) for line in Path("edits.jsonl").read_text().splitlines()]
    name, begin, _ = edits[0]
    assert [(value - begin) for _, value, _ in edits] == pytest.approx([0, 1, 2, 3], abs=1e-5)
    groups = [facts for _, _, facts in edits]
    assert [len(group) for group in groups] == [16, 16, 16, 16]
    (done,), (later,) = runs("out"), runs("again")
    one, items = done[1], items_of(done, "counterfact/forget")
    assert sorted(fact for group in groups for fact in group) == sorted(items)
    original = load_file(tmp_path / "first" / "model.safetensors")[name]
    assert torch.allclose(load_file(tmp_path / "kept" / "model.safetensors")[name], original + 4, atol=1e-4)
    assert one.weights.edited_sha256 == later[1].weights.base_sha256 != one.weights.base_sha256
    for item, row in items_of(later, "counterfact/forget").items():
        assert row["logprobs"] == pytest.approx(items[item]["logprobs"], abs=1e-5)
    assert one.localization.change_outside == 0


# -- side effects ---------------------------------------------------------------------------------------


def test_side_effects_shots_and_limits_are_recorded_and_part_of_the_identity(
    run: Run, two_models: dict[str, Model]
) -> None:
    Path("mine").mkdir()
    write_own_task(Path("mine"), "own_games", names=[*NAMES, "Ed Hale", "Flo Kern"])
    words = [*hf("first"), *UNTOUCHED, "--include", "mine", "--tasks", "mmlu[data=school]", "-o", "out"]
    words += ["--side_effects", "own_games"]

    assert run(*words, "--limit", "4", "--num_fewshot", "2") == 0
    assert run(*words, "--limit", "4", "--num_fewshot", "1") == 0
    assert run(*words, "--limit", "5", "--num_fewshot", "2") == 0

    found = [one for _, one in runs("out")]
    assert len({one.spec.hash for one in found}) == 3
    said = {}
    for one in found:
        settings = {task.name: task.settings for task in one.spec.tasks}
        assert set(settings) == {"sports/forget", "mmlu", "general/own_games"}
        for name in ("mmlu", "general/own_games"):
            counts = {m.n for m in one.metrics if m.task == name and m.name in ("accuracy", "acc")}
            assert counts == {settings[name]["limit"]}
        assert settings["mmlu"].items() >= {"data": "school"}.items()
        assert settings["general/own_games"]["task"] == "own_games"
        key = settings["mmlu"]["limit"], settings["mmlu"]["num_fewshot"]
        assert key == (settings["general/own_games"]["limit"], settings["general/own_games"]["num_fewshot"])
        said[key] = {m.name: m.value for m in one.metrics if m.task == "mmlu"}["p_true"]
    assert set(said) == {(4, 2), (4, 1), (5, 2)}
    assert said[4, 2] != said[4, 1], "with other examples in the prompt the numbers are others"


@pytest.mark.parametrize("option", ["--limit", "--num_fewshot"])
def test_limits_and_shots_without_a_side_effect_are_refused(
    option: str, run: Run, two_models: dict[str, Model], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*hf("first"), *UNTOUCHED, "-o", "out", option, "3") == 2
    assert f"{option} is for side effects, and none is asked that has it" in capsys.readouterr().err
    assert not Path("out").exists()


def test_more_examples_than_there_are_is_refused_with_the_largest_number(
    run: Run, two_models: dict[str, Model], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--tasks", "mmlu[data=school]", "--num_fewshot", "9", "-o", "out"]

    assert run(*hf("first"), *UNTOUCHED, *words) == 2
    assert "the largest --num_fewshot here is 5" in capsys.readouterr().err
    assert not list(Path("out").rglob("result.json"))
