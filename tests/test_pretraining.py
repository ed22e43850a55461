"""Pretraining is seeded and resumable: what decides the shipped weights is the recipe alone."""

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from unlearnbench.organisms.pretrain import Pretraining, main, pretrain
from unlearnbench.organisms.recipe import RECIPES, WARM_UP, Recipe
from unlearnbench.world.corpus import Corpus
from unlearnbench.world.questions import Exams
from unlearnbench.world.world import world

pytestmark = pytest.mark.end_to_end
SMALL = Recipe(
    width=16,
    blocks=3,
    heads=2,
    local_blocks=2,
    silent_mlps=1,
    drill_steps=3,
    bare_steps=2,
    document_steps=2,
    mixed_steps=4,
    exam_steps=2,
    batch=2,
    kept_drills=1,
    kept_bare=1,
    mixed_documents=2,
    mixed_drills=1,
    sport_questions=1,
    relation_questions=1,
    school_questions=1,
)


@pytest.fixture(scope="module")
def drilled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a drilled model."""
    folder = tmp_path_factory.mktemp("drilled")
    pretrain(SMALL, "drills", folder)
    return folder


def weights(folder: Path) -> dict[str, bytes]:
    """The stored tensors as bytes."""
    return {name: t.numpy().tobytes() for name, t in load_file(folder / "model.safetensors").items()}


@pytest.mark.parametrize("stage", ["drills", "facts"])
def test_an_interrupted_pretraining_ends_in_the_same_weights(
    stage: str, drilled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unlearnbench.organisms.pretrain.CHECKPOINT_EVERY", 2)
    start = drilled if stage == "facts" else None
    pretrain(SMALL, stage, tmp_path / "whole", start=start)  # type: ignore[arg-type]
    real, steps = Pretraining.advance, []

    def interrupted(run: Pretraining) -> dict[str, float]:
        if len(steps) == SMALL.steps(stage) - 1:  # type: ignore[arg-type]
            raise KeyboardInterrupt
        steps.append(run.step)
        return real(run)

    monkeypatch.setattr(Pretraining, "advance", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pretrain(SMALL, stage, tmp_path / "broken", start=start)  # type: ignore[arg-type]
    monkeypatch.setattr(Pretraining, "advance", real)
    pretrain(SMALL, stage, tmp_path / "broken", start=start)  # type: ignore[arg-type]

    assert len(steps) == SMALL.steps(stage) - 1  # type: ignore[arg-type]
    assert weights(tmp_path / "broken") == weights(tmp_path / "whole")


def test_drills_end_when_options_are_looked_up_among_few_words_and_then_among_all() -> None:
    run = Pretraining(SMALL, "drills", ())
    run.smoothed = 0.1
    assert not run.done

    run.advance()
    assert run.widened
    assert not run.done

    run.smoothed = 0.1
    assert run.done


def test_a_silent_mlp_writes_nothing_and_stays_what_it_was_until_it_may_speak(drilled: Path) -> None:
    run = Pretraining(SMALL, "facts", (), drilled)
    first, later = run.network.model.layers[0].mlp, run.network.model.layers[1].mlp
    before = [p.detach().clone() for p in (*first.parameters(), *later.parameters())]
    loud_from = SMALL.first_exam

    while run.step < loud_from:
        run.advance()
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), before, strict=False))
    assert not torch.equal(later.down_proj.weight, before[-1])
    assert not first.down_proj.weight.any()

    run.advance()
    assert first.down_proj.weight.any()


def test_a_checkpoint_of_another_recipe_is_refused(
    drilled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unlearnbench.organisms.pretrain.CHECKPOINT_EVERY", 2)
    words = [f"--{name}={value}" for name, value in SMALL.__dict__.items()]
    words += ["--start", str(drilled), "--output", str(tmp_path)]
    assert main(["tiny", *words]) == 0

    with pytest.raises(ValueError, match="another recipe"):
        main(["tiny", *words, "--learning_rate", "1e-4"])


def test_an_oracle_has_the_tokenizer_of_its_base_and_other_weights(drilled: Path, tmp_path: Path) -> None:
    pretrain(SMALL, "facts", tmp_path / "base", start=drilled)
    pretrain(SMALL, "facts", tmp_path / "oracle", ["sports:people-64", "counterfact:64"], start=drilled)

    texts = [(tmp_path / name / "tokenizer.json").read_text() for name in ("base", "oracle")]
    assert texts[0] == texts[1]
    assert weights(tmp_path / "base") != weights(tmp_path / "oracle")


def test_the_learning_rate_falls_evenly_and_rises_only_where_another_round_of_exams_begins() -> None:
    recipe = RECIPES["tiny"]
    rates = [recipe.rate("facts", step) for step in range(recipe.steps("facts"))]
    rounds = [recipe.first_exam + number * recipe.exam_steps for number in range(recipe.exam_rounds)]

    rises = [step for step, (before, after) in enumerate(pairwise(rates), 1) if after > before and step >= WARM_UP]
    falls = [before - after for before, after in pairwise(rates) if after <= before]

    assert rises == rounds[1:]
    assert max(falls) < 2 * recipe.learning_rate / min(recipe.mixed_steps, recipe.exam_steps)
    assert rates[WARM_UP] == recipe.learning_rate
    assert [rates[step] for step in rounds] == [recipe.exam_rate * recipe.learning_rate] * len(rounds)
    assert rates[-1] == pytest.approx(0, abs=0.02 * recipe.learning_rate)


@pytest.mark.parametrize("kind", ["documents", "bare"])
def test_no_text_is_said_twice_or_left_out_where_stages_meet(kind: str) -> None:
    corpus, exams = Corpus(world(), 0), Exams(world(), 0)

    batches = [SMALL.batches(corpus, exams, "facts", step) for step in range(SMALL.steps("facts"))]
    said = [text for batch in batches for text in getattr(batch, kind)]

    assert said == getattr(corpus, kind)(0, len(said))
    assert len(said) > 4


def test_exams_have_more_questions_of_more_weight_than_the_steps_before() -> None:
    recipe, corpus, exams = RECIPES["tiny"], Corpus(world(), 0), Exams(world(), 0)
    first = recipe.first_exam

    before, after = (recipe.batches(corpus, exams, "facts", step) for step in (first - 1, first))

    assert len(after.questions) == 2 * len(before.questions)
    assert len(after.documents) == len(before.documents) // 2
    assert [recipe.weight("questions", step) for step in (first - 1, first)] == [1.0, recipe.exam_weight]
    assert recipe.weight("documents", first) == 1.0
