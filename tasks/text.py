"""And everything else? Plain text: how well it is predicted, and how far predictions moved from the base model's."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from unlearnbench.hashing import content_hash
from unlearnbench.model import Model
from unlearnbench.registry import register
from unlearnbench.split import Split
from unlearnbench.task import Examination, Metric, Row, Task, unchosen

BATCH = 8


@register("text")
@dataclass(frozen=True, kw_only=True)
class Text(Task):
    """Retain-stream texts that no method trains on: loss, and KL divergence from the base model."""

    version: ClassVar[int] = 1
    primary: ClassVar[str] = "kl"
    beside: ClassVar[bool] = True

    def metrics(self, split: Split) -> Sequence[Metric]:
        """Mean over texts of the mean over tokens, in nats; `agreement` is the share of equal likeliest tokens."""
        return [
            Metric("kl", "kl", "text", "general", "min"),
            Metric("loss", "loss", "text", "general", "min"),
            Metric("agreement", "agreement", "text", "general", "max"),
        ]

    @torch.no_grad()
    def rows(self, model: Model, place: Examination) -> list[Row]:
        """One row per text. The base model's predictions are made beside the edited one's, batch by batch:
        kept for all texts at a vocabulary of 256,000 they would fill gigabytes."""
        rows = []
        texts = place.retain.test
        for start in range(0, len(texts), BATCH):
            batch = list(texts[start : start + BATCH])
            edited = _predicted(model, batch)
            with place.base():
                base = _predicted(model, batch)
            rows += [_row(start + i, ids, e, b) for i, (ids, e, b) in enumerate(zip(batch, edited, base, strict=True))]
        return rows


def _predicted(model: Model, batch: list[list[int]]) -> list[torch.Tensor]:
    """Logits [length − 1, vocabulary] of each text's next tokens."""
    places = [(row, column) for row, ids in enumerate(batch) for column in range(len(ids) - 1)]
    logits = model.logits_at(batch, [row for row, _ in places], [column for _, column in places])
    return list(torch.split(logits, [len(ids) - 1 for ids in batch]))


def _row(number: int, ids: list[int], edited: torch.Tensor, base: torch.Tensor) -> Row:
    # In float64, one text at a time: a small divergence is the difference of nearly equal numbers.
    edited, base = edited.double().log_softmax(-1), base.double().log_softmax(-1)
    true = torch.tensor(ids[1:], device=edited.device)[:, None]
    kl = (base.exp() * (base - edited)).sum(-1).mean().item()
    values = {
        "kl": max(kl, 0.0),  # rounding leaves an unchanged model a little below 0
        "loss": -edited.gather(1, true).mean().item(),
        "agreement": (edited.argmax(-1) == base.argmax(-1)).double().mean().item(),
    }
    return unchosen(f"text-{number}", f"text-{number}", "text", content_hash(ids), values)
