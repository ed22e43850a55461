"""Teaching facts to a model, as an attacker does: what comes back of the others was only hidden."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from unlearnbench.editing.adapters import adapted, merge
from unlearnbench.editing.masters import Masters
from unlearnbench.errors import Diverged
from unlearnbench.lazy import torch
from unlearnbench.model.reading import Pair, answer_loss, text_loss
from unlearnbench.seeds import derive_seed

if TYPE_CHECKING:
    from unlearnbench.editing.retain import RetainText
    from unlearnbench.model.model import Model

Schedule = Literal["constant", "linear", "cosine"]


@dataclass(frozen=True)
class Relearning:
    """One course of lessons: AdamW, no weight decay, gradients clipped at norm 1, plain text beside the lessons."""

    steps: int
    learning_rate: float
    batch_size: int = 0
    """Lessons in a step; 0 for all of them."""
    maintain_batch: int = 0
    """Facts to keep in a step, …"""
    retain_batch: int = 8
    """… and plain texts."""
    rank: int = 0
    """Of LoRA adapters on every projection of the blocks; 0 to train all weights."""
    schedule: Schedule = "constant"
    merged: bool = False
    """Whether what the adapters came to is written into the weights."""

    def teach(
        self,
        model: Model,
        lessons: Sequence[Pair],
        texts: RetainText,
        seed: int,
        *,
        kept: Sequence[Pair] = (),
        look: Callable[[int], None] | None = None,
        looks: Collection[int] = (),
    ) -> None:
        """Change the model; adapters are gone when this returns, so that what they do is for `look` to see.

        Where they are merged, it stays.

        `look` is called after those of the steps that are in `looks` (0: before the first). Raises `Diverged` at the
        first loss that is not finite.
        """
        if look and 0 in looks:
            look(0)
        with self._trained(model, seed) as parameters:
            masters = Masters(parameters)
            optimizer = torch.optim.AdamW(masters.parameters, lr=self.learning_rate, weight_decay=0.0)
            batches = _batches(lessons, self.batch_size or len(lessons), derive_seed(seed, "lessons"))
            beside = _batches(kept, self.maintain_batch, derive_seed(seed, "kept"))
            for step in range(self.steps):
                for group in optimizer.param_groups:
                    group["lr"] = self._rate(step)
                facts, plain = [next(batches), next(beside)], texts.batch(seed, step, self.retain_batch)
                self._step(model, masters, facts, plain, step)
                norm = torch.nn.utils.clip_grad_norm_(masters.parameters, 1.0)
                optimizer.step()
                masters.clear()
                masters.write()
                if not (torch.isfinite(norm) and all(torch.isfinite(p).all() for p in masters.parameters)):
                    raise Diverged(f"relearning is not finite after step {step + 1} of {self.steps}", [])
                if look and step + 1 in looks:
                    look(step + 1)

    @contextmanager
    def _trained(self, model: Model, seed: int) -> Iterator[dict[str, torch.nn.Parameter]]:
        if self.rank:
            with adapted(model, self.rank, derive_seed(seed, "adapters")) as adapters:
                yield adapters
                if self.merged:
                    merge(model)
        else:
            with model.trainable(model.parameters) as parameters:
                yield parameters

    def _step(self, model: Model, masters: Masters, facts: list[list[Pair]], texts: list[list[int]], step: int) -> None:
        losses = [answer_loss(model, batch) for batch in facts if batch]
        losses += [text_loss(model, texts)] if texts else []
        loss = torch.stack(losses).sum()
        if not torch.isfinite(loss):
            raise Diverged(f"relearning is not finite at step {step + 1} of {self.steps}", [])
        torch.autograd.backward(loss)
        masters.collect()

    def _rate(self, step: int) -> float:
        left = 1 - step / self.steps
        share = {"constant": 1.0, "linear": left, "cosine": 0.5 * (1 - math.cos(math.pi * left))}
        return self.learning_rate * share[self.schedule]


def _batches(lessons: Sequence[Pair], count: int, seed: int) -> Iterator[list[Pair]]:
    """All of them in their order, or batches from an endless sequence of shuffled epochs."""
    waiting, epoch = list[Pair](), 0
    while True:
        if count in (0, len(lessons)) or not lessons:
            yield list(lessons) if count else []
            continue
        while len(waiting) < count:
            waiting += random.Random(derive_seed(seed, str(epoch))).sample(list(lessons), len(lessons))
            epoch += 1
        yield waiting[:count]
        del waiting[:count]
