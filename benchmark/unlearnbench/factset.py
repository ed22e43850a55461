"""A fact set: where facts come from, and which of them are to be forgotten."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from unlearnbench.errors import UnknownName
from unlearnbench.facts import Fact
from unlearnbench.hashing import file_hash
from unlearnbench.settings import settings_of
from unlearnbench.source import ModelSource
from unlearnbench.split import Split


@dataclass(frozen=True)
class FactSet(ABC):
    """Where facts come from. A subclass is one file in `tasks/facts/`, final, and named in the registry.

    Its further fields are settings: `name:variant[setting=value]`, recorded and part of a run's identity.
    """

    variant: str
    """Which of its facts are to be forgotten: what follows the colon, as in `sports:athletes-64`."""
    facts_file: str | None = None
    """A user's own file in the fact set's format, instead of the facts that ship with it."""

    name: ClassVar[str]
    version: ClassVar[int]
    questions: ClassVar[tuple[str, ...]]
    """The tasks that can be asked of it."""
    variants: ClassVar[tuple[str, ...]]
    """What may be forgotten; the first is the default. Others may be allowed by `allows`."""
    others: ClassVar[tuple[str, ...]] = ()
    """Which those others are, as an error says it."""

    def __post_init__(self) -> None:
        if not self.allows(self.variant):
            raise UnknownName(f"variant of {self.name}", self.variant, (*self.variants, *self.others))

    @classmethod
    def allows(cls, variant: str) -> bool:
        """Whether this can be forgotten."""
        return variant in cls.variants

    @property
    def label(self) -> str:
        """`name:variant`."""
        return f"{self.name}:{self.variant}"

    @property
    def forgets(self) -> str:
        """The label under which an oracle of these forget facts ships."""
        return self.label

    def resolved(self, source: ModelSource) -> "FactSet":
        """The same fact set with what the model decides filled in, as it is recorded and hashed."""
        return self

    def inputs(self) -> dict[str, str]:
        """Digests of the files it reads; part of the run's identity."""
        return {} if self.facts_file is None else {"facts_file": file_hash(Path(self.facts_file))}

    def candidates(self) -> Sequence[Fact]:
        """The facts to choose from among those a model knows; empty where no knowledge is asked for."""
        return ()

    def known_from(self) -> float:
        """The p(answer | prompt) from which on a model knows one of the `candidates`."""
        return 0.0

    def knowing(self, ids: Collection[str]) -> "FactSet":
        """The same fact set, limited to these of its `candidates`."""
        return self

    def as_given(self) -> dict[str, Any]:
        """Everything that makes it, as JSON-able data: its settings, and which facts it is limited to."""
        return settings_of(self)

    def counts(self) -> dict[str, int]:
        """How many facts there were at first, and how many were left after each thing that was asked of them."""
        return {}

    def warnings(self) -> Sequence[str]:
        """What whoever reads a record of it should know."""
        return ()

    @abstractmethod
    def split(self, seed: int) -> Split:
        """The split of this seed: a pure function of the fact set and the seed."""
