"""Pretraining is seeded and resumable: what decides the shipped weights is the recipe alone."""

from pathlib import Path

import pytest
from safetensors.torch import load_file

from unlearnbench.organisms.pretrain import main, pretrain
from unlearnbench.organisms.recipe import Recipe

pytestmark = pytest.mark.end_to_end
SMALL = Recipe(
    width=16, blocks=2, heads=2, steps=6, drill_steps=2, document_steps=2, documents_alone=2, documents=2, drills=2
)


def weights(folder: Path) -> dict[str, bytes]:
    """The stored tensors as bytes."""
    return {name: t.numpy().tobytes() for name, t in load_file(folder / "model.safetensors").items()}


def test_an_interrupted_pretraining_ends_in_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unlearnbench.organisms.pretrain.CHECKPOINT_EVERY", 3)
    from unlearnbench.organisms.pretrain import Pretraining

    pretrain(SMALL, tmp_path / "whole", None)
    real, steps = Pretraining.advance, []

    def interrupted(run: Pretraining) -> list[float]:
        if len(steps) == 4:
            raise KeyboardInterrupt
        steps.append(run.step)
        return real(run)

    monkeypatch.setattr(Pretraining, "advance", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pretrain(SMALL, tmp_path / "broken", None)
    monkeypatch.setattr(Pretraining, "advance", real)
    pretrain(SMALL, tmp_path / "broken", None)

    assert weights(tmp_path / "broken") == weights(tmp_path / "whole")


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unlearnbench.organisms.pretrain.CHECKPOINT_EVERY", 2)
    words = [f"--{name}={value}" for name, value in SMALL.__dict__.items() if name != "family"]
    assert main(["tiny", "--output", str(tmp_path), *words]) == 0

    with pytest.raises(ValueError, match="another recipe"):
        main(["tiny", "--output", str(tmp_path), *words, "--learning_rate", "1e-4"])


def test_an_oracle_has_the_tokenizer_of_its_base_and_other_weights(tmp_path: Path) -> None:
    pretrain(SMALL, tmp_path / "base", None)
    pretrain(SMALL, tmp_path / "oracle", "athletes-64")

    texts = [(tmp_path / name / "tokenizer.json").read_text() for name in ("base", "oracle")]
    assert texts[0] == texts[1]
    assert weights(tmp_path / "base") != weights(tmp_path / "oracle")
