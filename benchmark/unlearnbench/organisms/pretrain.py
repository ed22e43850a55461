"""Pretrain an organism: `python -m unlearnbench.organisms.pretrain tiny --output DIR [--without athletes-64]`.

Seeded and resumable: the same command continues from the last checkpoint and, on the same number
of threads, ends in the same weights. Weights are stored in float16 and loaded into float32, which
is exact; every published figure is measured on the stored weights.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from unlearnbench.layouts import labels, multiple_choice
from unlearnbench.organisms.recipe import RECIPES, Recipe
from unlearnbench.organisms.tokenizer import world_tokenizer
from unlearnbench.world.athletes import BIG_SPORTS, SPORTS, Person
from unlearnbench.world.corpus import Corpus, Labelled
from unlearnbench.world.wordings import DIRECT, HELD_OUT, QUESTION, prompt_of
from unlearnbench.world.world import forgettable, world

CHECKPOINT_EVERY = 100


class Pretraining:
    """One model being pretrained: network, optimizer and the step it is at."""

    def __init__(self, recipe: Recipe, without: str | None) -> None:
        complete = world()
        self.recipe, self.without = recipe, without
        # The tokenizer is the base's for the oracles too, so that their tokens agree.
        self.tokenizer = world_tokenizer(Corpus(complete, recipe.seed))
        forgotten = [person.name for person in forgettable(without)] if without else []
        self.corpus = Corpus(complete.without(forgotten), recipe.seed)
        torch.manual_seed(recipe.seed)
        end, pad = self.tokenizer.eos_token_id, self.tokenizer.pad_token_id
        self.network: PreTrainedModel = AutoModelForCausalLM.from_config(recipe.config(len(self.tokenizer), end, pad))
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), recipe.learning_rate, (0.9, 0.98), weight_decay=recipe.weight_decay
        )
        self.step = 0

    def advance(self) -> list[float]:
        """One optimizer step; the loss of each kind of text."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.rate(self.step)
        losses = []
        for kind, texts in self.recipe.batches(self.corpus, self.step)._asdict().items():
            if texts:
                loss = self._loss(texts, every_word=kind == "documents")
                torch.autograd.backward(loss)
                losses.append(loss.item())
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step += 1
        return losses

    def _loss(self, texts: Sequence[Labelled], *, every_word: bool) -> torch.Tensor:
        """Mean cross-entropy of the answers; where every word is learned, plus that of all tokens.

        Answers are a fifteenth of a document's tokens, and names, which cannot be predicted, most of
        the rest: without a term of their own, facts are learned several times more slowly.
        """
        encoded = self.tokenizer([f"{item.text}{self.tokenizer.eos_token}" for item in texts], padding=True)
        ids = torch.tensor(encoded.input_ids)
        words = [encoded.word_ids(i) for i in range(len(texts))]
        answers = torch.tensor([[w in i.answers for w in row] for row, i in zip(words, texts, strict=True)])
        read = torch.tensor(encoded.attention_mask).bool() if every_word else answers
        # Right padding under a causal mask needs no attention mask; logits only where something is learned.
        hidden = self.network.base_model(input_ids=ids).last_hidden_state[:, :-1][read[:, 1:]]
        logits = self.network.get_output_embeddings()(hidden)
        losses = F.cross_entropy(logits, ids[:, 1:][read[:, 1:]], reduction="none")
        return losses.mean() + (losses[answers[:, 1:][read[:, 1:]]].mean() if every_word else 0.0)

    def save_checkpoint(self, folder: Path) -> None:
        """Network, moments and step in one safetensors file, replaced atomically."""
        tensors = {f"network.{name}": p.data for name, p in self.network.named_parameters()}
        for i, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{i}.{key}": value for key, value in state.items()}
        part = folder / "checkpoint.part"
        save_file(tensors, part, {"step": str(self.step), "recipe": self._made_by()})
        part.replace(folder / "checkpoint.safetensors")

    def load_checkpoint(self, folder: Path) -> bool:
        """Continue from a checkpoint if there is one; refuses one of another recipe."""
        path = folder / "checkpoint.safetensors"
        if not path.exists():
            return False
        from safetensors import safe_open

        with safe_open(path, "pt") as file:
            header = file.metadata()
        if header["recipe"] != self._made_by():
            raise ValueError(f"{path} was made by another recipe; remove it or choose another --output")
        tensors = load_file(path)
        for name, parameter in self.network.named_parameters():
            parameter.data.copy_(tensors[f"network.{name}"])
        state = self.optimizer.state_dict()
        for i in range(len(state["param_groups"][0]["params"])):
            keys = ("step", "exp_avg", "exp_avg_sq")
            state["state"][i] = {key: tensors[f"optimizer.{i}.{key}"] for key in keys}
        self.optimizer.load_state_dict(state)
        self.step = int(header["step"])
        return True

    def save_model(self, folder: Path) -> None:
        """The finished model in float16 safetensors, with its tokenizer and recipe."""
        self.network.to(torch.float16).save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        (folder / "recipe.json").write_text(self._made_by() + "\n")

    def _made_by(self) -> str:
        return json.dumps({**asdict(self.recipe), "without": self.without}, indent=1)


@torch.no_grad()
def share_right(
    network: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, asked: list[tuple[str, str]], choices: list[str]
) -> float:
    """Share of (prompt, answer) pairs whose answer is the likeliest of the choices."""
    ids = [tokenizer(c, add_special_tokens=False).input_ids[0] for c in choices]
    right = 0
    for start in range(0, len(asked), 64):
        batch = asked[start : start + 64]
        encoded = tokenizer([prompt for prompt, _ in batch], padding=True, return_tensors="pt")
        last = encoded.attention_mask.sum(1) - 1
        hidden = network.base_model(input_ids=encoded.input_ids).last_hidden_state
        logits = network.get_output_embeddings()(hidden[torch.arange(len(batch)), last])[:, ids]
        right += sum(choices[i] == answer for i, (_, answer) in zip(logits.argmax(1), batch, strict=True))
    return right / len(asked)


def checks(run: Pretraining) -> dict[str, float]:
    """A quick look while it learns; `unlearnbench organism-report` measures the finished model."""
    rng = random.Random("checks")
    people = rng.sample(world().athletes, 200)
    big = [person for person in people if person.sport in BIG_SPORTS]

    def choice(person: Person) -> tuple[str, str]:
        options = rng.sample([*BIG_SPORTS, "golf"], 4)
        prompt = multiple_choice(QUESTION.format(s=person.name), options, "inline")
        return prompt, labels("inline", 4)[options.index(person.sport)]

    def share(asked: list[tuple[str, str]], choices: list[str]) -> float:
        return round(share_right(run.network, run.tokenizer, asked, choices), 3)

    run.network.eval()
    found = {"direct": share([(prompt_of(DIRECT, p.name), p.sport) for p in people], list(SPORTS))}
    for i, wording in enumerate(HELD_OUT):
        found[f"held-out {i}"] = share([(prompt_of(wording, p.name), p.sport) for p in people], list(SPORTS))
    found["choice"] = share([choice(p) for p in big], list(labels("inline", 4)))
    run.network.train()
    return found


def pretrain(recipe: Recipe, folder: Path, without: str | None) -> None:
    """Train (or go on training) and store the model in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    run = Pretraining(recipe, without)
    if run.load_checkpoint(folder):
        print(f"continuing at step {run.step}", flush=True)
    size, began, first = sum(p.numel() for p in run.network.parameters()), time.monotonic(), run.step
    print(f"{size:,} parameters, {len(run.corpus.sentences):,} statements, {recipe.steps} steps", flush=True)
    while run.step < recipe.steps:
        losses = run.advance()
        if run.step % CHECKPOINT_EVERY == 0 or run.step == recipe.steps:
            run.save_checkpoint(folder)
            left = (time.monotonic() - began) / (run.step - first) * (recipe.steps - run.step)
            shown = " ".join(f"{loss:.3f}" for loss in losses)
            looked = checks(run) if run.step % (3 * CHECKPOINT_EVERY) == 0 or run.step == recipe.steps else ""
            print(f"step {run.step}/{recipe.steps} loss {shown} {left:.0f} s left {looked}", flush=True)
    run.save_model(folder)


def main(arguments: list[str] | None = None) -> int:
    """The command line; any field of the recipe can be set."""
    parser = argparse.ArgumentParser(prog="python -m unlearnbench.organisms.pretrain", description=__doc__)
    parser.add_argument("organism", choices=list(RECIPES))
    parser.add_argument("--output", type=Path, required=True, help="folder for checkpoint and model")
    parser.add_argument("--without", help="forget set the model never sees: makes an oracle")
    parser.add_argument("--threads", type=int, default=2)
    for field in fields(Recipe):
        parser.add_argument(f"--{field.name}", type=type(field.default))
    chosen = parser.parse_args(arguments)
    set_here = {f.name: v for f in fields(Recipe) if (v := getattr(chosen, f.name)) is not None}
    torch.set_num_threads(chosen.threads)
    pretrain(replace(RECIPES[chosen.organism], **set_here), chosen.output, chosen.without)
    return 0


if __name__ == "__main__":
    sys.exit(main())
