"""What does training cost, beside a plain loop and beside peft with Trainer? `python tests/performance/training.py`

Localized training (the MLPs of the upper half of the blocks) as we do it, beside the same losses on the same padded
batches in three loops that one would otherwise use: gradients of everything, of which all but the chosen are thrown
away (masked); gradients of the chosen tensors only (plain); and LoRA on the same MLPs with `transformers.Trainer`. As
many steps on as many texts, in turn, in one process; only ratios are worth quoting.

By the number of blocks that a pass goes through, and with every text seen before, masked costs at most 2.25 times as
much as ours, and plain 1.4 times: it does not go backward below the upper half either.
"""

import statistics
import tempfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from localizing import deeper, graph
from scoring import timed
from tabulate import tabulate

from unlearnbench.editing.localization import Localization
from unlearnbench.editing.place import EditingPlace
from unlearnbench.editing.retain import load_retain
from unlearnbench.facts import TrainingSplit
from unlearnbench.methods.full_finetune import FullFinetune
from unlearnbench.model.below import kept_below
from unlearnbench.model.loading import load
from unlearnbench.model.model import Model
from unlearnbench.model.reading import encode, padded
from unlearnbench.model.source import locate
from unlearnbench.running.threads import using_threads
from unlearnbench.running.words import parse_facts

ROUNDS = 3
STEPS = 20
DEPTHS = (24,)
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


def plain(here: Scene, tensors: Collection[str]) -> None:
    """As one would write it: whole forward passes, gradients of `tensors`, and a step of the chosen ones."""
    with here.model.restored(here.where.tensors), here.model.trainable(tensors) as parameters:
        trained = [parameters[name] for name in here.where.tensors]
        optimizer = torch.optim.AdamW(trained, lr=1e-3, weight_decay=0.0)
        for step in range(STEPS):
            for number, texts in enumerate(here.texts(step)):
                ids, labels = labels_of(here.model, texts, last_only=number < 2)
                here.model.network(input_ids=ids, labels=labels, use_cache=False).loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            here.model.network.zero_grad()


class Lora:
    """LoRA of rank 16 on the same MLPs, with `transformers.Trainer`, which sums up the three batches of a step."""

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
        self._batches = []
        for step in range(STEPS):
            for number, texts in enumerate(here.texts(step)):
                ids, labels = labels_of(model, texts, last_only=number < 2)
                self._batches.append({"input_ids": ids, "labels": labels})

    def train(self) -> None:
        """All steps."""
        from transformers import Trainer, TrainingArguments

        with tempfile.TemporaryDirectory() as folder:
            arguments = TrainingArguments(
                folder, max_steps=STEPS, per_device_train_batch_size=1, gradient_accumulation_steps=3, use_cpu=True,
                report_to=[], save_strategy="no", logging_strategy="no", disable_tqdm=True, weight_decay=0.0,
            )  # fmt: skip
            Trainer(self._network, arguments, data_collator=_alone, train_dataset=self._batches).train()


def _alone(batches: Sequence[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """A batch that is one already."""
    (one,) = batches
    return one


def compare() -> list[dict[str, Any]]:
    """Training, on one thread: the embedded model, and random ones of growing depth."""
    with using_threads(1):
        return [_line(one) for one in scenes()]


def scenes() -> list[Scene]:
    """The embedded model, and a random one of 24 blocks."""
    tiny = scene("tiny", lambda: load(locate("tiny", {}, None)))
    return [tiny, *(scene(f"{depth} blocks", lambda depth=depth: deeper(depth)) for depth in DEPTHS)]


def _line(here: Scene) -> dict[str, Any]:
    lora = Lora(here)
    ways: dict[str, Callable[[], object]] = {
        "ours": lambda: ours(here),
        "masked": lambda: plain(here, here.model.parameters),
        "plain": lambda: plain(here, here.where.tensors),
        "peft": lora.train,
    }
    seconds = seconds_of(ways)
    with kept_below(here.model, here.model.blocks // 2) as below:
        ours(here)
    return {
        "model": here.name,
        "ours, s": statistics.median(seconds["ours"]),
        "masked / ours": ratio(seconds, "masked"),
        "plain / ours": ratio(seconds, "plain"),
        "peft and Trainer / ours": ratio(seconds, "peft"),
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


def seconds_of(ways: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Of each way, round by round, in turn."""
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way, work in ways.items():
            seconds[way].append(timed(work))
    return seconds


def ratio(seconds: dict[str, list[float]], way: str) -> float:
    """A way's time over ours: the median over rounds."""
    return statistics.median(o / m for o, m in zip(seconds[way], seconds["ours"], strict=True))


if __name__ == "__main__":
    print(tabulate(compare(), headers="keys", floatfmt=".3g"))
