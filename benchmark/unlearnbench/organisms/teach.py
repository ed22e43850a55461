"""Teach a model facts that it never knew, into named tensors only: where they are and what was before is then known.

A language model cannot be shown never to have known a real fact. Facts about people that we invented, taught later,
have an exact oracle, the model before; a known location, the tensors that were trained; and, taught a second time
elsewhere, a known hider: an edit of one copy leaves the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from unlearnbench.editing.localization import Localization
from unlearnbench.editing.masters import Masters
from unlearnbench.errors import UsageError
from unlearnbench.hashing import content_hash
from unlearnbench.model.model import Model
from unlearnbench.organisms.course import Course
from unlearnbench.organisms.losses import answer_losses
from unlearnbench.organisms.moments import moments, remember
from unlearnbench.world.corpus import Corpus, Labelled
from unlearnbench.world.questions import POOL, Exams
from unlearnbench.world.world import Known, World, world

EVERYWHERE = "all"
CHECKPOINT_EVERY = 50
CHECKPOINT = "checkpoint.safetensors"


@dataclass(frozen=True)
class Place:
    """Where one copy of the facts goes."""

    word: str
    tensors: frozenset[str]


@dataclass
class Lessons:
    """The text that teaches: about the new facts, and of what was known before."""

    facts: frozenset[Known]
    course: Course
    plain: Sequence[Labelled] = field(default_factory=tuple)
    """Old text for models that do not know the organisms' world; empty for the world's own."""

    def __post_init__(self) -> None:
        whole = world()
        known: World = whole.without(self.facts)
        self._new = Corpus(whole.only(self.facts), self.course.seed + 7)
        self._old, self._exams = Corpus(known, self.course.seed + 8), Exams(known, self.course.seed + 8)

    def new(self, step: int) -> list[Labelled]:
        """Documents about the new facts only."""
        count = self.course.new_texts
        return self._new.documents(step * count, count)

    def bare(self, step: int) -> list[Labelled]:
        """The new facts and the old ones as bare statements; text in the organisms' manner only for organisms."""
        if self.plain:
            return []
        count = self.course.bare_texts
        return [*self._new.bare(step * count, count), *self._old.bare(step * count, count)]

    def old(self, step: int) -> list[Labelled]:
        """Documents of before."""
        count = self.course.old_texts
        if self.plain:
            return [self.plain[(step * count + i) % len(self.plain)] for i in range(count)]
        return self._old.documents(step * count, count)

    def questions(self, step: int) -> list[Labelled]:
        """Multiple choice about people whose facts are not taught, and a drill."""
        if self.plain:
            return []
        third = self.course.questions // 3
        asked = self._exams.multiple_choice(step, self.course.questions - 2 * third, third, third)
        return [*asked, *self._exams.drills(step, 1, POOL)]


def places(model: Model, words: Sequence[str]) -> list[Place]:
    """Each word is one copy: `mlp.2`, `mlp.2+mlp.3` together, `embeddings`, or `all`.

    Raises `UnknownName` for tensors that the model lacks, `UsageError` for copies that share some.
    """
    found: list[Place] = []
    for word in words:
        where = Localization.everywhere(model) if word == EVERYWHERE else Localization.named(model, word, [EVERYWHERE])
        tensors = where.tensors
        for other in found:
            if tensors & other.tensors:
                raise UsageError(f"copies in {other.word} and {word} share tensors", "name places that are apart")
        found.append(Place(word, tensors))
    return found


def teach(
    model: Model,
    copies: Sequence[Place],
    before: Mapping[str, Tensor],
    lessons: Lessons,
    folder: Path,
    progress: Callable[[str, int, int], None],
) -> None:
    """Train one copy after another; the model ends with all of them. Goes on from the checkpoint in `folder`.

    While a later copy is trained, the earlier ones are absent in every other step: otherwise it would learn
    nothing, since the facts are known already, or only how to work together with them. `before` are the tensors of
    all copies as they were.
    """
    identity = content_hash({"where": [copy.word for copy in copies], **vars(lessons.course)})
    for number, copy in enumerate(copies):
        earlier = {name: before[name] for done in copies[:number] for name in done.tensors}
        _teach_copy(model, number, copy, lessons, earlier, _Checkpoint(folder / CHECKPOINT, identity), progress)


def _teach_copy(
    model: Model,
    number: int,
    copy: Place,
    lessons: Lessons,
    earlier: Mapping[str, Tensor],
    kept: _Checkpoint,
    progress: Callable[[str, int, int], None],
) -> None:
    course = lessons.course
    steps = course.steps * (2 if earlier else 1)
    with model.trainable(copy.tensors) as parameters:
        masters = Masters(parameters)
        optimizer = torch.optim.AdamW(masters.parameters, course.learning_rate, (0.9, 0.98), weight_decay=0.0)
        for step in range(kept.load(number, model, masters, optimizer), steps):
            for group in optimizer.param_groups:
                group["lr"] = course.rate(step, steps)
            absent = _absent(model, earlier) if earlier and step % 2 == 0 else nullcontext()
            with absent:
                where = f"step {step + 1} of {steps} in {copy.word}"
                _learn(model, masters, lessons, number * 10**6 + step, where)
            torch.nn.utils.clip_grad_norm_(masters.parameters, 1.0)
            optimizer.step()
            masters.clear()
            masters.write()
            progress(copy.word, step + 1, steps)
            if (step + 1) % CHECKPOINT_EVERY == 0 or step + 1 == steps:
                kept.save(number, step + 1, model, [*earlier, *parameters], masters, optimizer)


def _learn(model: Model, masters: Masters, lessons: Lessons, step: int, where: str) -> None:
    """Add the gradients of one step."""
    kinds = (
        (lessons.new(step), True, 1.0),
        (lessons.old(step), True, lessons.course.old_weight),
        (lessons.bare(step), False, 1.0),
        (lessons.questions(step), False, 1.0),
    )
    for texts, every_word, weight in kinds:
        if texts:
            loss, shown = answer_losses(model.network, model.tokenizer, texts, every_word=every_word)
            if not math.isfinite(shown):
                raise UsageError(f"the loss is not finite at {where}", "try a lower --learning_rate")
            torch.autograd.backward(weight * loss)
            masters.collect()


@contextmanager
def _absent(model: Model, tensors: Mapping[str, Tensor]) -> Iterator[None]:
    """Within: these tensors are what they were before anything was taught."""
    with model.restored(tensors):
        model.write(tensors)
        yield


@dataclass(frozen=True)
class _Checkpoint:
    """What is trained so far, in one safetensors file that is replaced atomically."""

    path: Path
    identity: str
    """Of the lesson: another one does not go on from it."""

    def save(
        self,
        number: int,
        step: int,
        model: Model,
        names: Sequence[str],
        masters: Masters,
        optimizer: torch.optim.Optimizer,
    ) -> None:
        tensors = {f"weight.{name}": model.parameters[name].detach() for name in names}
        tensors |= {f"master.{i}": master.detach().clone() for i, master in enumerate(masters.parameters)}
        tensors |= moments(optimizer)
        part = self.path.with_suffix(".part")
        save_file(tensors, part, {"copy": str(number), "step": str(step), "lesson": self.identity})
        part.replace(self.path)

    def load(self, number: int, model: Model, masters: Masters, optimizer: torch.optim.Optimizer) -> int:
        """Put back what was trained, and say how many steps of this copy are done."""
        if not self.path.is_file():
            return 0
        with safe_open(self.path, "pt") as file:
            header = file.metadata()
        if header["lesson"] != self.identity:
            raise UsageError(f"{self.path} is of another lesson", "give another --output, or remove that folder")
        if int(header["copy"]) != number:
            return 0 if int(header["copy"]) < number else 10**9
        tensors = load_file(self.path)
        model.write({name.removeprefix("weight."): t for name, t in tensors.items() if name.startswith("weight.")})
        for i, master in enumerate(masters.parameters):
            master.data.copy_(tensors[f"master.{i}"])
        remember(optimizer, tensors)
        return int(header["step"])
