"""CounterFact (Meng et al. 2022, arXiv 2202.05262): single facts about all kinds of subjects, each with a counterfact.

Organisms know the records of their own world. For other models they are read from the hub at a pinned revision, or
with `--facts_file` from ROME's or EasyEdit's JSON, a table or a folder.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from unlearnbench.counterfact.among import KnownFile
from unlearnbench.counterfact.facts import Converted, converted
from unlearnbench.counterfact.hub import HUB_SETS, download
from unlearnbench.counterfact.planted import planted_order, planted_split
from unlearnbench.counterfact.real import in_order, real_split
from unlearnbench.counterfact.sources import read
from unlearnbench.errors import UsageError
from unlearnbench.facts import Fact, Form, Split
from unlearnbench.factset import FactsCard, FactSet
from unlearnbench.registry import register
from unlearnbench.settings import DERIVED

STAGES = 4
"""Groups of a sequential edit, as in Guo et al. (2024): 4 × 16."""
Stamp = tuple[tuple[str, int, int], ...]


@register("counterfact")
@dataclass(frozen=True)
class CounterFact(FactSet):
    """Facts of many relations; an edit turns each into its counterfact. `N-sequential` forgets a quarter at a time."""

    source: Literal["auto", "planted", "azhx", "tracing", "file"] = "auto"
    """`planted` in the organisms' world; `azhx/counterfact` or `NeelNanda/counterfact-tracing` from the hub; or the
    `file` of --facts_file. `auto`: planted for models that were told of them, azhx for others."""
    keep: Annotated[int, Field(ge=20)] = 600
    """Facts to keep, of a real source; of the planted, all others are."""
    among: Path | None = None
    """A file of `unlearnbench known`: only real facts that every model knows which it names."""
    knows: tuple[str, ...] | None = field(default=None, metadata=DERIVED)
    """The ids of real facts that the model knows."""

    version: ClassVar[int] = 2
    variants: ClassVar[tuple[str, ...]] = ("64", "16", "256", "64-sequential", "16-sequential")
    forms: ClassVar[frozenset[Form]] = frozenset({"edit_target", "paraphrases", "question", "neighbours"})

    @classmethod
    def allows(cls, variant: str) -> bool:
        """Any number of facts from two on, and any multiple of four one quarter after another."""
        number, dash, rest = variant.partition("-")
        if not (number.isascii() and number.isdigit()) or number.startswith("0") or (dash and rest != "sequential"):
            return False
        return int(number) >= 2 if not dash else int(number) % STAGES == 0

    @property
    def count(self) -> int:
        """How many facts are to be forgotten."""
        return int(self.variant.partition("-")[0])

    @property
    def real(self) -> bool:
        """Whether they are from the hub."""
        return self.source in HUB_SETS

    @property
    def card(self) -> FactsCard:
        """Real facts have the forms that their source has; of the planted there are oracles, of others none."""
        if self.planted:
            return FactsCard(self.name, self.variant, self.forms, oracle=f"{self.name}:{self.count}")
        own = self.facts_file is not None
        return FactsCard(self.name, self.variant, self._facts.forms, own_file=own, oracle="")

    def as_typed(self) -> "CounterFact":
        """That facts are planted, the model says."""
        return replace(self, source="auto") if self.planted else self

    @property
    def file_sha256(self) -> str | None:
        """Of a folder, the names and digests of the files that were read."""
        return None if self.facts_file is None else self._facts.sha256

    @property
    def source_sha256(self) -> str:
        """Of the rows that were read."""
        return "" if self.planted else self._facts.sha256

    @property
    def counts(self) -> Mapping[str, int]:
        """Rows of a real source, and what can be asked fairly."""
        return {} if self.planted else self._facts.counts

    @property
    def warnings(self) -> Sequence[str]:
        """Of a file that is not the one that its name says."""
        return () if self.planted else self._facts.warnings

    @property
    def planted(self) -> bool:
        """Whether they are of the organisms' world."""
        return self.source == "planted" or (self.source == "auto" and self.facts_file is None)

    def resolved(self, *, told: Collection[str]) -> "CounterFact":
        """With the source that suits the model. Raises `UsageError` where settings contradict each other."""
        where = self.source
        if self.facts_file is not None:
            if where not in ("auto", "file"):
                raise UsageError(f"counterfact cannot be read from {where} and from --facts_file too", "leave one out")
            where = "file"
        elif where == "file":
            raise UsageError("counterfact[source=file] needs --facts_file", "name ROME's counterfact.json, for example")
        elif where == "auto":
            where = "planted" if f"{self.name}:{self.count}" in told or "world" in told else "azhx"
        found = replace(self, source=where)
        if found.planted and self.among is not None:
            raise UsageError("counterfact[among=…] is for real facts, and these are planted", "leave it out")
        return found

    def candidates(self) -> Sequence[Fact]:
        """Real facts that may be used, in the order in which they are; none where a file says which."""
        return () if self.planted or self.among is not None else in_order(self._facts.facts)

    @property
    def wanted(self) -> int:
        """How many of the candidates have to be known."""
        return self.count + self.keep

    def knowing(self, ids: Collection[str]) -> "CounterFact":
        """Limited to these."""
        return replace(self, knows=tuple(sorted(ids)))

    def split(self, seed: int) -> Split:
        """As `planted_split` and `real_split`."""
        if self.planted:
            found = planted_split(self.count, seed)
            order = planted_order(self.count)
        else:
            found = real_split(self._facts, self._able, self.count, self.keep, seed)
            order = [fact.id for fact in in_order(found.forget)]
        if not self.variant.endswith("sequential"):
            return found
        size = self.count // STAGES
        return replace(found, stages=[frozenset(order[i * size : (i + 1) * size]) for i in range(STAGES)])

    @property
    def _able(self) -> Collection[str] | None:
        """The ids of the real facts that may be used; None where all may.

        Those of a file are taken as they are: what a model does not know of them is left out and counted, as of any
        facts, instead of being replaced by others.
        """
        if self.among is None:
            return self.knows
        found = KnownFile.read(self.among)
        if found.source_sha256 != self._facts.sha256:
            raise UsageError(
                f"{self.among} was made from other facts than {self.word}", "give the same source= or --facts_file"
            )
        return found.ids

    @property
    def _facts(self) -> Converted:
        return _converted(self.source, self.facts_file, _stamp(self.facts_file))


def _stamp(facts_file: str | None) -> Stamp:
    """Names, sizes and times of what would be read."""
    if facts_file is None:
        return ()
    path = Path(facts_file)
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return tuple((str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in files if f.is_file())


@lru_cache(maxsize=4)
def _converted(source: str, facts_file: str | None, stamp: Stamp) -> Converted:
    """Read once per process, and again when the file changes (`stamp`)."""
    return converted(read(Path(facts_file)) if facts_file is not None else download(source), {})
