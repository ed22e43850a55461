"""Which value at the subject makes a model say something else: gradient descent on what a module says there.

Meng et al. (2022, arXiv 2202.05262), equation 4; lengths and rates are relative to the value that is there before, so
that they mean the same in every model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from unlearnbench.editing.losses import kl_divergence
from unlearnbench.editing.place import EditingPlace
from unlearnbench.errors import Diverged
from unlearnbench.facts import Fact
from unlearnbench.lazy import torch
from unlearnbench.model.hooks import intervened
from unlearnbench.model.reading import Position, encode, logits_at, outputs_at, tokens_of
from unlearnbench.model.subject import subject_tokens
from unlearnbench.seeds import derive_seed

if TYPE_CHECKING:
    from unlearnbench.model.model import Model

EARLY = 0.05
"""A target this likely (nats) is likely enough."""
PREFIX_TOKENS = 10


@dataclass(frozen=True, kw_only=True)
class ValueSettings:
    """How a new value is looked for."""

    value_steps: Annotated[int, Field(ge=1)] = 20
    """Steps of Adam."""
    value_rate: Annotated[float, Field(gt=0)] = 0.3
    """Length of its first step, in lengths of the old value."""
    value_decay: Annotated[float, Field(ge=0)] = 0.5
    """Weight of the squared length of the change, in lengths of the old value."""
    value_kl: Annotated[float, Field(ge=0)] = 0.0625
    """Weight of KL(before ‖ now) of what follows "{subject} is a"."""
    most: Annotated[float, Field(gt=0)] = 4.0
    """How long the change may become, in lengths of the old value."""
    prefixes: Annotated[int, Field(ge=0)] = 8
    """Beginnings of retain texts that are put before a prompt, for values and keys that do not depend on what was said
    before."""


@dataclass(frozen=True)
class Wordings:
    """A fact's prompt alone and behind some prefixes: token ids, and the position of the subject's last token."""

    fact: Fact
    prompts: Sequence[Position]
    essence: Position
    """"{subject} is a"."""


def wordings_of(model: Model, facts: Sequence[Fact], place: EditingPlace, prefixes: int) -> list[Wordings]:
    """Each fact in its wordings; a function of the seed. Raises `UsageError` as `subject_tokens` does."""
    bos = model.tokenizer.bos_token_id
    texts = place.retain.batch(derive_seed(place.seed, "prefixes"), 0, prefixes) if prefixes else []
    starts = [[token for token in text if token != bos][:PREFIX_TOKENS] for text in texts]
    found = []
    for fact in facts:
        ids = encode(model, fact.prompt, fact.answer)[0]
        last, head = subject_tokens(model, fact)[-1], ids[:1] if ids[0] == bos else []
        prompts = [(ids, last)]
        prompts += [([*head, *start, *ids[len(head) :]], last + len(start)) for start in starts]
        subject = tokens_of(model, fact.subject)
        found.append(Wordings(fact, prompts, (tokens_of(model, f"{fact.subject} is a"), len(subject) - 1)))
    return found


def value_changes(
    model: Model, path: str, wordings: Sequence[Wordings], settings: ValueSettings
) -> tuple[torch.Tensor, list[dict[str, float]]]:
    """δ [facts, width] for what the module at this path says at the subject, and how far each fact came.

    With δ added, the fact's edit target follows its prompt, whatever stands before it. Raises `Diverged` at a loss
    that is not finite.
    """
    with model.trainable(()):
        return _descend(_Scene(model, path, wordings), settings)


def _descend(scene: _Scene, settings: ValueSettings) -> tuple[torch.Tensor, list[dict[str, float]]]:
    delta = torch.zeros_like(scene.before).requires_grad_()
    lengths = scene.before.norm(dim=-1, keepdim=True)
    rates = settings.value_rate * lengths / math.sqrt(delta.shape[-1])
    # Adam's steps do not depend on a factor of the loss: rates of one's own are a factor of what it steps.
    scaled = torch.zeros_like(delta).requires_grad_()
    adam = torch.optim.Adam([scaled], lr=1.0)
    essence: torch.Tensor | None = None
    for step in range(settings.value_steps + 1):
        delta = scaled * rates
        targets, now = scene.read(delta)
        essence = now.detach() if essence is None else essence
        decay = settings.value_decay * (delta / lengths).square().sum(-1).to(targets)
        loss = targets + decay + settings.value_kl * scene.kl(essence, now)
        if not loss.isfinite().all():
            raise Diverged(f"the loss of a new value is not finite at step {step + 1}", [])
        open_ = (targets + decay > EARLY) & (step < settings.value_steps)
        if not open_.any():
            break
        (gradient,) = torch.autograd.grad(loss.sum(), scaled)
        before = scaled.detach().clone()
        scaled.grad = gradient
        adam.step()
        with torch.no_grad():
            length = (scaled * rates).norm(dim=-1, keepdim=True)
            scaled.mul_((settings.most * lengths / length.clamp_min(1e-30)).clamp_max(1.0))
            scaled.copy_(torch.where(open_[:, None], scaled, before))
    shares = (delta.norm(dim=-1) / lengths[:, 0]).tolist()
    rows = [{"target": t, "length": share} for t, share in zip(targets.tolist(), shares, strict=True)]
    return delta.detach(), rows


class _Scene:
    """The sequences of several facts, run together."""

    def __init__(self, model: Model, path: str, wordings: Sequence[Wordings]) -> None:
        self._model, self._path = model, path
        self.before = outputs_at(model, [path], [one.prompts[0] for one in wordings])[path].float()
        """What the module says [facts, width] before."""
        self._sequences, self._at, self._owner = list[list[int]](), list[int](), list[int]()
        self._rows, self._columns, self._tokens, self._asked = list[int](), list[int](), list[int](), list[int]()
        self._essence_row = list[int]()
        for number, one in enumerate(wordings):
            target = encode(model, one.fact.prompt, one.fact.edit_target or "")[1]
            for ids, position in one.prompts:
                self._rows += [len(self._sequences)] * len(target)
                self._columns += range(len(ids) - 1, len(ids) + len(target) - 1)
                self._tokens += target
                self._asked += [number] * len(target)
                self._append([*ids, *target[:-1]], position, number)
            self._essence_row.append(len(self._sequences))
            self._append(*one.essence, number)
        self._wordings = [len(one.prompts) for one in wordings]

    def _append(self, ids: list[int], position: int, number: int) -> None:
        self._sequences.append(ids)
        self._at.append(position)
        self._owner.append(number)

    def read(self, delta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """−ln p(target) [facts], the mean over a fact's wordings; and logits [facts, vocabulary] of its essence."""

        def add(output: torch.Tensor) -> torch.Tensor:
            changed = output.clone()
            changed[range(len(self._at)), self._at] += delta[self._owner].to(output)
            return changed

        ends = [len(self._sequences[row]) - 1 for row in self._essence_row]
        with intervened(self._model, {self._path: add}):
            logits = logits_at(self._model, self._sequences, [*self._rows, *self._essence_row], [*self._columns, *ends])
        asked, essence = logits[: len(self._rows)], logits[len(self._rows) :]
        losses = torch.nn.functional.cross_entropy(
            asked, torch.tensor(self._tokens, device=asked.device), reduction="none"
        )
        owner = torch.tensor(self._asked, device=losses.device)
        sums = torch.zeros(len(self._wordings), device=losses.device).index_add(0, owner, losses)
        return sums / torch.tensor(self._wordings, device=losses.device), essence

    @staticmethod
    def kl(before: torch.Tensor, now: torch.Tensor) -> torch.Tensor:
        """KL(before ‖ now) [facts]."""
        return torch.stack([kl_divergence(b[None], n[None]) for b, n in zip(before, now, strict=True)])
