"""Pretrain an organism, in two stages:

    python -m unlearnbench.organisms.pretrain tiny --stage drills --output DRILLED
    python -m unlearnbench.organisms.pretrain tiny --start DRILLED --output DIR [--without sports:people-64 …]

The drills teach to bind labels to options, and no fact; base and oracle go on from the same drilled model.
Seeded and resumable: the same command continues from the last checkpoint and, on the same number
of threads, ends in the same weights. Weights are stored in float16 and loaded into float32, which
is exact; every published figure is measured on the stored weights.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel

from unlearnbench.model.model import Model
from unlearnbench.organisms.look import look
from unlearnbench.organisms.losses import answer_losses
from unlearnbench.organisms.moments import moments, remember
from unlearnbench.organisms.recipe import RECIPES, Recipe, Stage
from unlearnbench.organisms.tokenizer import stored_tokenizer, world_tokenizer
from unlearnbench.world.corpus import Corpus
from unlearnbench.world.forgotten import facts_named
from unlearnbench.world.questions import Exams
from unlearnbench.world.world import world

CHECKPOINT_EVERY = 100
SMOOTHING = 0.9
UNKNOWN = 9.0
"""The smoothed loss before the first step."""


class Pretraining:
    """One model being pretrained: network, optimizer and the step it is at."""

    def __init__(self, recipe: Recipe, stage: Stage, without: Sequence[str], start: Path | None = None) -> None:
        self.recipe, self.stage, self.without = recipe, stage, tuple(without)
        # Base and oracles have the tokenizer of the drilled model that they go on from, so that their tokens agree.
        self.tokenizer = world_tokenizer() if start is None else stored_tokenizer(start)
        told = world().without(facts_named(without))
        self.corpus, self.exams = Corpus(told, recipe.seed), Exams(told, recipe.seed)
        torch.manual_seed(recipe.seed)
        end, pad = self.tokenizer.eos_token_id, self.tokenizer.pad_token_id
        self.network: PreTrainedModel = AutoModelForCausalLM.from_config(recipe.config(len(self.tokenizer), end, pad))
        self.mlps = [block.mlp for block in self.network.model.layers[: recipe.silent_mlps]]
        with torch.no_grad():
            for mlp in self.mlps:
                mlp.down_proj.weight.zero_()  # so that they begin at nothing when they may speak
        if start is not None:
            self._put({f"network.{name}": tensor for name, tensor in load_file(start / "model.safetensors").items()})
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), recipe.learning_rate, (0.9, 0.98), weight_decay=recipe.weight_decay
        )
        self.step, self.smoothed, self.widened = 0, UNKNOWN, False

    @property
    def done(self) -> bool:
        """Whether the stage is over."""
        formed = self.stage == "drills" and self.widened and self.smoothed < self.recipe.drill_loss
        return formed or self.step >= self.recipe.steps(self.stage)

    def advance(self) -> dict[str, float]:
        """One optimizer step; the loss of the answers in each kind of text."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.rate(self.stage, self.step)
        self.silence(silent=self.recipe.silent(self.stage, self.step))
        losses = {}
        if not self.widened and self.smoothed < self.recipe.drill_loss:
            self.widened, self.smoothed = True, UNKNOWN
        batches = self.recipe.batches(self.corpus, self.exams, self.stage, self.step, widened=self.widened)
        for kind, texts in batches._asdict().items():
            if texts:
                loss, losses[kind] = answer_losses(self.network, self.tokenizer, texts, every_word=kind == "documents")
                torch.autograd.backward(self.recipe.weight(kind, self.step) * loss)
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step += 1
        self.smoothed = SMOOTHING * self.smoothed + (1 - SMOOTHING) * losses["drills"]
        return losses

    def silence(self, *, silent: bool) -> None:
        """Let the first MLPs write nothing, or what they write."""
        for mlp in self.mlps:
            if silent:
                mlp.forward = torch.zeros_like  # not computed, hence no gradient, hence not trained
            else:
                mlp.__dict__.pop("forward", None)

    def save_checkpoint(self, folder: Path) -> None:
        """Network, moments and step in one safetensors file, replaced atomically."""
        tensors = {f"network.{name}": p.data for name, p in self.network.named_parameters()}
        tensors |= moments(self.optimizer)
        state = {"step": self.step, "smoothed": self.smoothed, "widened": self.widened}
        header = {"state": json.dumps(state), "recipe": self._made_by()}
        part = folder / "checkpoint.part"
        save_file(tensors, part, header)
        part.replace(folder / "checkpoint.safetensors")

    def load_checkpoint(self, folder: Path) -> bool:
        """Continue from a checkpoint if there is one; refuses one of another recipe."""
        path = folder / "checkpoint.safetensors"
        if not path.exists():
            return False
        with safe_open(path, "pt") as file:
            header = file.metadata()
        if header["recipe"] != self._made_by():
            raise ValueError(f"{path} was made by another recipe; remove it or choose another --output")
        tensors = load_file(path)
        self._put(tensors)
        remember(self.optimizer, tensors)
        where = json.loads(header["state"])
        self.step, self.smoothed, self.widened = where["step"], where["smoothed"], where["widened"]
        return True

    def _put(self, tensors: dict[str, Tensor]) -> None:
        with torch.no_grad():
            for name, parameter in self.network.named_parameters():
                parameter.copy_(tensors[f"network.{name}"])

    def save_model(self, folder: Path) -> None:
        """The model in float16 safetensors, with its tokenizer and recipe."""
        self.silence(silent=False)
        self.network.to(torch.float16).save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        (folder / "recipe.json").write_text(self._made_by() + "\n")

    def _made_by(self) -> str:
        return json.dumps({**asdict(self.recipe), "stage": self.stage, "without": self.without}, indent=1)


def pretrain(
    recipe: Recipe, stage: Stage, folder: Path, without: Sequence[str] = (), start: Path | None = None
) -> None:
    """Train (or go on training) and store the model in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    run = Pretraining(recipe, stage, without, start)
    if run.load_checkpoint(folder):
        print(f"continuing at step {run.step}", flush=True)
    size, began, first = sum(p.numel() for p in run.network.parameters()), time.monotonic(), run.step
    print(f"{size:,} parameters, {len(run.corpus.sentences):,} statements, {recipe.steps(stage)} steps", flush=True)
    while not run.done:
        losses = run.advance()
        if run.step % 25 == 0 or run.done:
            spent = time.monotonic() - began
            left = spent / (run.step - first) * (recipe.steps(stage) - run.step)
            shown = " ".join(f"{kind} {loss:.3f}" for kind, loss in losses.items())
            print(f"step {run.step}/{recipe.steps(stage)} {shown}; {spent:.0f} s, {left:.0f} s left", flush=True)
        if run.step % CHECKPOINT_EVERY == 0 or run.done:
            run.save_checkpoint(folder)
        if stage == "facts" and (run.step % (3 * CHECKPOINT_EVERY) == 0 or run.done):
            print(json.dumps(look(Model(run.network, run.tokenizer))), flush=True)
    run.save_model(folder)


def main(arguments: list[str] | None = None) -> int:
    """The command line; any field of the recipe can be set."""
    parser = argparse.ArgumentParser(prog="python -m unlearnbench.organisms.pretrain", description=__doc__)
    parser.add_argument("organism", choices=list(RECIPES))
    parser.add_argument("--output", type=Path, required=True, help="folder for checkpoint and model")
    parser.add_argument("--stage", choices=["drills", "facts"], default="facts")
    parser.add_argument("--start", type=Path, help="folder of the drilled model to go on from")
    parser.add_argument("--without", nargs="*", default=[], help="forget sets the model never sees: makes an oracle")
    parser.add_argument("--threads", type=int, default=2)
    for field in fields(Recipe):
        parser.add_argument(f"--{field.name}", type=type(field.default))
    chosen = parser.parse_args(arguments)
    set_here = {f.name: v for f in fields(Recipe) if (v := getattr(chosen, f.name)) is not None}
    torch.set_num_threads(chosen.threads)
    recipe = replace(RECIPES[chosen.organism], **set_here)
    pretrain(recipe, chosen.stage, chosen.output, chosen.without, chosen.start)
    return 0


if __name__ == "__main__":
    sys.exit(main())
