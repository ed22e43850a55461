"""Where facts come from."""

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from unlearnbench.errors import UnknownName
from unlearnbench.facts import Fact, Form, Split
from unlearnbench.hashing import file_hash
from unlearnbench.registry import Catalogue, Entry, fact_sets
from unlearnbench.settings import departures


@dataclass(frozen=True)
class FactsCard:
    """What is known of facts before anybody sees them: enough to decide who can use them, and no way to them."""

    name: str
    variant: str
    forms: frozenset[Form] = frozenset()
    """What every fact to forget has besides prompt and answer."""
    own_file: bool = False
    """Whether they come from a user's file instead of those that ship with the fact set."""
    oracle: str | None = None
    """The label of the forget set that an oracle of theirs was pretrained without, where it is another than their own;
    empty where there can be none."""

    @property
    def forgets(self) -> str:
        """What an oracle of theirs was pretrained without."""
        return self.label if self.oracle is None else self.oracle

    @property
    def label(self) -> str:
        """`name:variant`."""
        return f"{self.name}:{self.variant}"


@dataclass(frozen=True)
class FactSet(Entry):
    """Where facts come from. A subclass is one file in `tasks/facts/`, final, and named in the registry."""

    variant: str
    """Which of its facts are to be forgotten: what follows the colon, as in `sports:people-64`."""
    facts_file: str | None = None
    """A user's own file in the fact set's format, instead of the facts that ship with it."""
    known: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Facts whose true answer the base gives with less than this probability are left out and counted; 0 keeps all."""

    catalogue: ClassVar[Catalogue] = fact_sets
    variants: ClassVar[tuple[str, ...]]
    """What may be forgotten; the first is the default."""
    forms: ClassVar[frozenset[Form]] = frozenset()
    """What every fact to forget has besides prompt and answer. Objectives and tasks that need more are refused."""

    def __post_init__(self) -> None:
        if not self.allows(self.variant):
            raise UnknownName(f"variant of {self.name}", self.variant, self.variants)

    @classmethod
    def allows(cls, variant: str) -> bool:
        """Whether there is such a variant; those that are listed need not be all."""
        return variant in cls.variants

    def resolved(self, *, told: Collection[str]) -> "FactSet":
        """The facts that suit a model, which was told of these forget sets of the organisms' world."""
        return self

    def candidates(self) -> Sequence[Fact]:
        """Facts of which those that a model knows have to be chosen before any can be forgotten, in order."""
        return ()

    @property
    def wanted(self) -> int:
        """How many of the candidates are to be chosen."""
        return 0

    def knowing(self, ids: Collection[str]) -> "FactSet":
        """Limited to these candidates."""
        return self

    @property
    def real(self) -> bool:
        """Whether the facts that ship with it are about the real world, of which organisms were told nothing."""
        return False

    @property
    def card(self) -> FactsCard:
        """What may be known of the facts before they are seen."""
        return FactsCard(self.name, self.variant, self.forms, own_file=self.facts_file is not None)

    @property
    def label(self) -> str:
        """`name:variant`."""
        return self.card.label

    @property
    def file_sha256(self) -> str | None:
        """Digest of the user's own file, if there is one."""
        return None if self.facts_file is None else file_hash(Path(self.facts_file))

    @property
    def source_sha256(self) -> str:
        """Digest of the records that real facts are chosen from; "" where there are none."""
        return ""

    @property
    def counts(self) -> Mapping[str, int]:
        """What was read, and what is left of it after each thing that was asked of it."""
        return {}

    @property
    def warnings(self) -> Sequence[str]:
        """What should be known of its source before the numbers are believed."""
        return ()

    @property
    def word(self) -> str:
        """The label, and the settings in which it departs from its defaults."""
        typed = departures(self.as_typed()).items()
        pairs = [f"{key}={value.removesuffix('.0')}" for key, value in typed if key != "facts_file"]
        return f"{self.label}[{','.join(pairs)}]" if pairs else self.label

    def as_typed(self) -> "FactSet":
        """The same without what the model decides."""
        return self

    @abstractmethod
    def split(self, seed: int) -> Split:
        """The split of this seed: a pure function of the fact set and the seed."""
