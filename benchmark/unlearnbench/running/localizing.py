"""Localizers at work, one after another on the same facts, and nothing edited."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from unlearnbench.editing.localization import Localization
from unlearnbench.editing.localization_file import LocalizationFile
from unlearnbench.editing.localizer import Localizer
from unlearnbench.editing.place import EditingPlace, silent
from unlearnbench.facts import TrainingSplit
from unlearnbench.factset import FactSet
from unlearnbench.model.matrices import matrices_of
from unlearnbench.model.model import Model
from unlearnbench.model.source import Located
from unlearnbench.running.base import Base, base_of
from unlearnbench.running.damage import read
from unlearnbench.running.knowledge import informed
from unlearnbench.running.order import refuse_out_of_range, refuse_untold
from unlearnbench.running.plan import refuse_seed
from unlearnbench.running.runner import Runner
from unlearnbench.settings import word_of


@dataclass(frozen=True)
class Sought:
    """What one localizer found, and what it cost."""

    localizer: Localizer
    where: Localization
    seconds: float
    forward: int
    """Tokens that went through the model, …"""
    backward: int
    """… and those of them that gradients came back for."""
    chosen: frozenset[str]
    """Components, or single matrices, that may be trained."""

    @property
    def word(self) -> str:
        """The localizer as it would be typed."""
        return word_of(self.localizer)


class Search:
    """A model, and facts that are looked for in it; the seeds are a run's, so that a run edits what is found here."""

    def __init__(
        self, located: Located, facts: FactSet, seed: int = 0, *, device: str = "cpu", threads: int | None = None
    ) -> None:
        refuse_out_of_range(threads=threads)
        refuse_untold(facts, located)
        refuse_seed(seed)
        self.located, self.facts, self.seed = located, informed(facts, located, device), seed
        self.split = self.facts.split(seed)
        self._runner = Runner(located, device, threads=threads)

    @cached_property
    def model(self) -> Model:
        """The model, loaded when it is first needed. Raises as `Runner.prepare`."""
        self._runner.prepare(self.split)
        return self._runner.loaded().model

    @cached_property
    def base(self) -> Base:
        """What the model knows of the facts. Raises `UsageError` as `base_of`."""
        return base_of(self.model, self.split, self.facts.known, self.facts.label)

    @cached_property
    def seen(self) -> TrainingSplit:
        """What methods see of the facts that the model knows."""
        return self.base.split.for_methods()

    @cached_property
    def retain_loss(self) -> float:
        """Of the model, on retain text that is never trained on."""
        return read(self.model, self.place().retain).loss

    def place(self, progress: Callable[[int, int], None] = silent) -> EditingPlace:
        """Where a localizer works."""
        return self._runner.place(self.facts, self.split, self.seed, progress)

    def find(self, localizer: Localizer, progress: Callable[[int, int], None] = silent) -> Sought:
        """What one localizer finds. Raises `UsageError` where it finds nothing in this model."""
        model, seen, place = self.model, self.seen, self.place(progress)
        began, forward, backward = time.perf_counter(), model.tokens_forward, model.tokens_backward
        where = localizer.localize(model, seen, place)
        spent = model.tokens_forward - forward, model.tokens_backward - backward
        seconds = time.perf_counter() - began
        finer = {name for name, part in matrices_of(model).items() if {*part.parameters} <= where.tensors}
        chosen = frozenset(where.components) | (finer & set(where.scores))
        return Sought(localizer, where, seconds, *spent, chosen)

    def document(self, found: Sought) -> LocalizationFile:
        """What was found, as a file says it: by component where these are whole, else by tensor."""
        source, where = self.located.source, found.where
        whole = where.components and Localization.of(self.model, where.components).tensors == where.tensors
        return LocalizationFile(
            components=where.components if whole else (),
            tensors=() if whole else tuple(sorted(where.tensors)),
            scores=dict(where.scores),
            localizer=found.word,
            model=source.name,
            weights_sha256=source.weights_sha256,
            facts=self.facts.label,
            seed=self.seed,
        )
