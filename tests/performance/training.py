"""What does training cost, beside a plain loop and beside peft with Trainer? `python tests/performance/training.py`

Localized training (the MLPs of the upper half of the blocks) as we do it, the same losses in the loop that one would
write by hand (whole forward passes, the network's own loss), and LoRA on the same MLPs with `transformers.Trainer`
(`pip install "unlearnbench[perf]"`; left out where it is not installed): as many steps on as many texts, in turn, in
one process. The second table is the inner loop of latent adversarial training beside the same loop from the embeddings.
Only ratios are worth quoting. The third table is no measurement: the memory that training takes, by formula.
"""

import importlib.util
import statistics
import tempfile
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

import torch
from localizing import deeper, graph
from scoring import timed
from tabulate import tabulate

from unlearnbench.editing import latent
from unlearnbench.editing.adversary import Defence
from unlearnbench.editing.localization import Localization
from unlearnbench.editing.objective import Batch
from unlearnbench.editing.place import EditingPlace
from unlearnbench.editing.retain import load_retain
from unlearnbench.facts import TrainingSplit
from unlearnbench.methods.adversaries.targeted import Targeted
from unlearnbench.methods.full_finetune import FullFinetune
from unlearnbench.model.below import ROOM, kept_below
from unlearnbench.model.loading import load
from unlearnbench.model.model import Model
from unlearnbench.model.reading import encode, padded
from unlearnbench.model.source import locate
from unlearnbench.running.threads import using_threads
from unlearnbench.running.words import parse_facts

ROUNDS = 3
STEPS = 12
DEPTHS = (12, 24)
IGNORED = -100


@dataclass(frozen=True)
class Scene:
    """A model, facts and texts."""

    name: str
    make: Callable[[], Model]
    model: Model
    seen: TrainingSplit
    place: EditingPlace
    where: Localization

    @property
    def method(self) -> FullFinetune:
        """The course that all ways take."""
        return FullFinetune(steps=STEPS, learning_rate=1e-3)

    def texts(self, step: int) -> list[list[list[int]]]:
        """Prompts with answers to forget, the same to keep, and plain texts, of one step."""
        facts = self.seen.forget, self.seen.maintain_train[:64]
        answers = [[(f.prompt, f.edit_target or "") for f in facts[0]], [(f.prompt, f.answer) for f in facts[1]]]
        whole = [[prompt + answer for prompt, answer in (encode(self.model, *p) for p in some)] for some in answers]
        return [*whole, self.place.retain.batch(self.place.seed, step, 8)]


def scene(name: str, make: Callable[[], Model]) -> Scene:
    """The upper half of the blocks is trained."""
    model, facts = make(), parse_facts("sports:people-64")
    split, source = facts.split(0), locate("tiny", {}, None).source
    place = EditingPlace(facts.card, source, load_retain(model, "world", split), seed=0)
    upper = [f"mlp.{block}" for block in range(model.blocks // 2, model.blocks)]
    return Scene(name, make, model, split.for_methods(), place, Localization.of(model, upper))


def labels_of(model: Model, texts: Sequence[list[int]], *, last_only: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Padded tokens and labels of the network's own loss: the last token of each text, or all of them."""
    ids = padded(model, texts)
    labels = torch.full_like(ids, IGNORED)
    for row, text in enumerate(texts):
        start = len(text) - 1 if last_only else 0
        labels[row, start : len(text)] = ids[row, start : len(text)]
    return ids, labels


def ours(here: Scene) -> None:
    """As the harness trains."""
    with here.model.restored(here.where.tensors):
        here.method.edit(here.model, here.seen, here.where, here.place)


def plain(here: Scene) -> None:
    """As one would write it: whole forward passes, gradients for the same tensors only."""
    with here.model.restored(here.where.tensors), here.model.trainable(here.where.tensors) as trained:
        optimizer = torch.optim.AdamW(trained.values(), lr=1e-3, weight_decay=0.0)
        for step in range(STEPS):
            for number, texts in enumerate(here.texts(step)):
                ids, labels = labels_of(here.model, texts, last_only=number < 2)
                here.model.network(input_ids=ids, labels=labels, use_cache=False).loss.backward()
            torch.nn.utils.clip_grad_norm_(trained.values(), 1.0)
            optimizer.step()
            optimizer.zero_grad()


class Lora:
    """LoRA of rank 16 on the same MLPs, with `transformers.Trainer`; one batch holds what a step of ours does."""

    def __init__(self, here: Scene) -> None:
        from peft import LoraConfig, get_peft_model

        model = here.make()
        blocks = [int(name.rpartition(".")[2]) for name in here.where.components]
        config = LoraConfig(
            r=16,
            target_modules=["gate_proj", "up_proj", "down_proj"],
            layers_to_transform=blocks,
            task_type="CAUSAL_LM",
        )
        self._network: Any = get_peft_model(model.network, config)
        self._rows = []
        for number, texts in enumerate(here.texts(0)):
            ids, labels = labels_of(model, texts, last_only=number < 2)
            self._rows += [
                {"input_ids": i[: len(t)], "labels": w[: len(t)]} for i, w, t in zip(ids, labels, texts, strict=True)
            ]

    def train(self) -> None:
        """Twelve steps."""
        from transformers import Trainer, TrainingArguments

        with tempfile.TemporaryDirectory() as folder:
            arguments = TrainingArguments(
                folder, max_steps=STEPS, per_device_train_batch_size=len(self._rows), report_to=[], save_strategy="no",
                logging_strategy="no", disable_tqdm=True, use_cpu=True, weight_decay=0.0,
            )  # fmt: skip
            Trainer(self._network, arguments, data_collator=_collated, train_dataset=self._rows * STEPS).train()


def _collated(rows: Sequence[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    pad = torch.nn.utils.rnn.pad_sequence
    return {
        "input_ids": pad([row["input_ids"] for row in rows], batch_first=True),
        "labels": pad([row["labels"] for row in rows], batch_first=True, padding_value=IGNORED),
    }


def compare() -> list[dict[str, Any]]:
    """Training, on one thread: the embedded model, and random ones of growing depth."""
    with using_threads(1):
        return [_line(one) for one in _scenes()]


def _scenes() -> list[Scene]:
    tiny = scene("tiny", lambda: load(locate("tiny", {}, None)))
    return [tiny, *(scene(f"{depth} blocks", lambda depth=depth: deeper(depth)) for depth in DEPTHS)]


def _line(here: Scene) -> dict[str, Any]:
    ways: dict[str, Callable[[], object]] = {"ours": lambda: ours(here), "plain": lambda: plain(here)}
    if importlib.util.find_spec("peft"):
        lora = Lora(here)
        ways["peft"] = lora.train
    seconds = _seconds(ways)
    with kept_below(here.model, here.model.blocks // 2) as below:
        ours(here)
    return {
        "model": here.name,
        "ours, s": statistics.median(seconds["ours"]),
        "plain / ours": _ratio(seconds, "plain"),
        "peft and Trainer / ours": _ratio(seconds, "peft"),
        "for backward, MB": graph(lambda: _one_step(here)) / 1e6,
        "plain's / ours": graph(lambda: _one_plain_step(here)) / graph(lambda: _one_step(here)),
        "kept below, MB": getattr(below, "bytes", 0) / 1e6,
    }


def _one_step(here: Scene) -> None:
    with here.model.restored(here.where.tensors):
        replace(here.method, steps=1).edit(here.model, here.seen, here.where, here.place)


def _one_plain_step(here: Scene) -> None:
    with here.model.trainable(here.where.tensors):
        for number, texts in enumerate(here.texts(0)):
            ids, labels = labels_of(here.model, texts, last_only=number < 2)
            here.model.network(input_ids=ids, labels=labels, use_cache=False).loss.backward()


def compare_attacks() -> list[dict[str, Any]]:
    """The adversary's own steps, at half of the depth: from the attacked block, and from the embeddings."""
    with using_threads(1):
        return [_attack_line(one) for one in _scenes()]


def _attack_line(here: Scene) -> dict[str, Any]:
    blocks = here.model.blocks
    adversary = Targeted(sites=str(blocks // 2 - 1), inner_steps=16)
    batch = Batch(0, here.seen.forget, here.seen.maintain_train[:64], ())
    defence = Defence(batch, {}, seed=0)

    def from_embeddings() -> None:
        with mock.patch.object(latent, "kept_below", return_value=nullcontext()):
            adversary.strike(here.model, defence)

    seconds = _seconds({"ours": lambda: adversary.strike(here.model, defence), "plain": from_embeddings})
    bound = 0.8 * blocks / (blocks - blocks // 2)
    return {
        "model": here.name,
        "ours, s": statistics.median(seconds["ours"]),
        "from the embeddings / ours": _ratio(seconds, "plain"),
        "aim": bound,
    }


def _seconds(ways: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way, work in ways.items():
            seconds[way].append(timed(work))
    return seconds


def _ratio(seconds: dict[str, list[float]], way: str) -> float | None:
    if way not in seconds:
        return None
    return statistics.median(o / m for o, m in zip(seconds[way], seconds["ours"], strict=True))


@dataclass(frozen=True)
class Shape:
    """What a transformer of Llama's kind is made of."""

    name: str
    blocks: int
    width: int
    inner: int
    keys: int
    """Width of all keys together."""
    vocabulary: int

    @property
    def mlp(self) -> int:
        """Weights of one MLP."""
        return 3 * self.width * self.inner

    @property
    def block(self) -> int:
        """Weights of one block."""
        return self.mlp + 2 * self.width * (self.width + self.keys)

    @property
    def weights(self) -> int:
        """All of them."""
        return self.blocks * self.block + 2 * self.vocabulary * self.width


SHAPES = (Shape("Llama-3-8B", 32, 4096, 14336, 1024, 128256), Shape("Gemma-2-9B", 42, 3584, 14336, 2048, 256000))


def memory() -> list[dict[str, Any]]:
    """GB for a model in bfloat16: 2 bytes a weight, 16 a trained one (float32 master, gradient and two moments), 2 a
    number that is kept for the backward pass (12 widths, 2 keys and 4 inner widths for each token of a block that is
    run with gradients), and 2 a number that is kept of what is below."""
    texts, length, retained = 64, 32, 1024 * 128
    lines = []
    for shape in SHAPES:
        for what, trained, first in (
            ("everything", shape.weights, 0),
            ("all MLPs", shape.blocks * shape.mlp, 0),
            ("MLPs of the upper half", (shape.blocks // 2) * shape.mlp, shape.blocks // 2),
            ("three MLPs in the middle", 3 * shape.mlp, shape.blocks // 2),
        ):
            numbers = (shape.blocks - first) * texts * length * (12 * shape.width + 2 * shape.keys + 4 * shape.inner)
            below = min(ROOM, 2 * retained * shape.width) if first else 0
            parts = [2 * shape.weights, 16 * trained, 2 * numbers, below]
            lines.append({"model": shape.name, "trained": what, **_gigabytes(parts), "all": sum(parts) / 1e9})
    return lines


def _gigabytes(parts: Sequence[int]) -> dict[str, float]:
    return dict(zip(("weights", "of the trained", "for backward", "kept below"), (p / 1e9 for p in parts), strict=True))


if __name__ == "__main__":
    for table in (compare, compare_attacks, memory):
        print(tabulate(table(), headers="keys", floatfmt=".3g", missingval="–"), "\n")
