"""CounterFact (Meng et al. 2022, arXiv 2202.05262): single facts about all kinds of subjects, each with a counterfact.

On organisms the facts are the planted ones of their world. On other models they are read from the hub
at a pinned revision, or with `--facts_file` from ROME's or EasyEdit's JSON, a table or a folder.
"""

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from unlearnbench.counterfact.facts import Converted, converted, invented
from unlearnbench.counterfact.hub import download
from unlearnbench.counterfact.rome import parse
from unlearnbench.counterfact.sources import Reading, read
from unlearnbench.errors import UsageError
from unlearnbench.facts import Fact
from unlearnbench.factset import FactSet
from unlearnbench.hashing import content_hash
from unlearnbench.organisms.planted import KINDS, never_known, records
from unlearnbench.registry import register
from unlearnbench.seeds import derive_seed
from unlearnbench.settings import DERIVED
from unlearnbench.source import ModelSource
from unlearnbench.split import Split

LEAST_PROBABILITY = 0.5
STAGES = 4
"""Groups of a sequential edit, as in Guo et al. (2024): 4 x 16."""
FEWEST_KEPT = 20
NEVER_KNOWN = 96


@register("counterfact")
@dataclass(frozen=True)
class CounterFact(FactSet):
    """Facts about all kinds of subjects; an edit turns each into its counterfact."""

    source: Literal["auto", "planted", "azhx", "tracing", "file"] = "auto"
    """`planted` in an organism's world; `azhx/counterfact` or `NeelNanda/counterfact-tracing` from the hub; or the
    `file` of --facts_file. `auto`: planted for organisms, azhx for other models."""
    least_probability: Annotated[float, Field(ge=0, le=1)] | None = None
    """Facts that the model gives a lower p(answer | prompt) are not known to it, and left out. None given takes 0.5,
    and 0 for planted facts, of which oracles were pretrained without a fixed set."""
    known: tuple[str, ...] | None = field(default=None, metadata=DERIVED)
    """The facts that every model of the comparison knows, by id."""

    version: ClassVar[int] = 1
    questions: ClassVar[tuple[str, ...]] = (
        "forget",
        "paraphrase",
        "neighborhood",
        "multiple_choice",
        "generation",
        "maintain",
    )
    variants: ClassVar[tuple[str, ...]] = ("64", "16", "256", "64-sequential")
    others: ClassVar[tuple[str, ...]] = ("N from 2 on", "N-sequential for multiples of 4")

    @classmethod
    def allows(cls, variant: str) -> bool:
        """Any number of facts, and any multiple of four one group after another."""
        number, dash, rest = variant.partition("-")
        if not (number.isascii() and number.isdigit()) or number.startswith("0") or (dash and rest != "sequential"):
            return False
        return int(number) >= 2 if not dash else int(number) % STAGES == 0

    @property
    def count(self) -> int:
        """How many facts are to be forgotten."""
        return int(self.variant.partition("-")[0])

    @property
    def forgets(self) -> str:
        """One after another or at once, the same facts are forgotten; an oracle is one of planted facts only."""
        return f"{self.name}:{self.count}" if self.source == "planted" else f"{self.name}-{self.source}:{self.count}"

    def resolved(self, source: ModelSource) -> "CounterFact":
        """With the source that suits the model; on planted facts no knowledge is asked for."""
        where = self.source
        if self.facts_file is not None:
            if where not in ("auto", "file"):
                raise UsageError(f"counterfact cannot be read from {where} and from --facts_file too", "leave one out")
            where = "file"
        elif where == "file":
            raise UsageError("counterfact[source=file] needs --facts_file", "name ROME's counterfact.json, for example")
        elif where == "auto":
            where = "planted" if source.kind == "organism" else "azhx"
        usual = 0.0 if where == "planted" else LEAST_PROBABILITY
        least = usual if self.least_probability is None else self.least_probability
        return replace(self, source=where, least_probability=least)

    def inputs(self) -> dict[str, str]:
        """The digests of what was read, and of which of it the compared models know."""
        read = {} if self.source == "planted" else {"facts": self._facts.sha256}
        return read if self.known is None else {**read, "known": content_hash(list(self.known))}

    def candidates(self) -> Sequence[Fact]:
        """All facts, unless it does not matter whether the model knows them."""
        return self._facts.facts if self.known_from() > 0 else ()

    def known_from(self) -> float:
        """The setting."""
        return self.least_probability or 0.0

    def knowing(self, ids: Collection[str]) -> "CounterFact":
        """Limited to these, in a fixed order."""
        return replace(self, known=tuple(sorted(ids)))

    def as_given(self) -> dict[str, Any]:
        """With the facts that are known, where that was asked."""
        return {**super().as_given(), **({} if self.known is None else {"known": list(self.known)})}

    def counts(self) -> dict[str, int]:
        """From the rows of the source down to the facts that are used."""
        known = {} if self.known is None else {"known": len(self.known)}
        return {**self._facts.counts, **known, "forgotten": self.count}

    def warnings(self) -> Sequence[str]:
        """Of the files that were read."""
        return self._facts.warnings

    def split(self, seed: int) -> Split:
        """The forgotten do not depend on the seed; T, V and what is kept do: 70 % train, 10 % dev, 20 % test."""
        facts = self._ordered()
        forget, others = list(facts[: self.count]), list(facts[self.count :])
        if len(others) < FEWEST_KEPT:
            most = len(facts) - FEWEST_KEPT
            steps = ", ".join(f"{number:,} {what.replace('_', ' ')}" for what, number in self.counts().items())
            raise UsageError(
                f"{self.label}: of {len(facts)} facts that can be used, {len(others)} would be left to keep,"
                f" and {FEWEST_KEPT} are needed",
                f"the largest forget set here is counterfact:{most}" if most > 1 else f"too few are left: {steps}",
            )
        in_order = tuple(forget)
        random.Random(derive_seed(seed, "counterfact", "forget")).shuffle(forget)
        random.Random(derive_seed(seed, "counterfact", "maintain")).shuffle(others)
        train, dev = round(0.7 * len(others)), round(0.8 * len(others))
        clean = {fact.id: fact for fact in _without_taken_neighbors(forget, others[:dev])}
        half, group = len(forget) // 2, self.count // STAGES
        ordered = [clean[fact.id] for fact in in_order]
        sequential = self.variant.endswith("sequential")
        return Split(
            relearn=[clean[fact.id] for fact in forget[:half]],
            held_out=[clean[fact.id] for fact in forget[half:]],
            maintain_train=others[:train],
            maintain_dev=others[train:dev],
            maintain_test=others[dev:],
            never_known=self._never_known(facts),
            stages=[ordered[i * group : (i + 1) * group] for i in range(STAGES)] if sequential else (),
        )

    @property
    def _facts(self) -> Converted:
        return _converted(self.source, self.facts_file, _stamp(self.facts_file))

    def _ordered(self) -> Sequence[Fact]:
        """Planted facts in their own order; others shuffled once for all, since rows of one relation lie together.

        The order of two facts never depends on which others there are: a smaller set is the beginning of
        a larger one, and stays it when facts that a model does not know drop out.
        """
        if self.source == "planted":
            return self._facts.facts
        known = {fact.id for fact in self._facts.facts} if self.known is None else set(self.known)
        chosen = [fact for fact in self._facts.facts if fact.id in known]
        return sorted(chosen, key=lambda fact: (derive_seed(0, "forget-counterfact", fact.id), fact.id))

    def _never_known(self, facts: Sequence[Fact]) -> Sequence[Fact]:
        if self.source == "planted":
            return _planted(never_known()).facts
        return invented(facts, NEVER_KNOWN, self._facts.names)


def _stamp(facts_file: str | None) -> tuple[tuple[str, int, int], ...]:
    """Names, sizes and times of what would be read."""
    if facts_file is None:
        return ()
    path = Path(facts_file)
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return tuple((str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in files if f.is_file())


def _without_taken_neighbors(forget: Sequence[Fact], trained: Sequence[Fact]) -> list[Fact]:
    """The facts to forget without neighbours that are themselves forgotten, trained on or tuned on.

    Such a one would measure that instead. Whoever of the same relation is named in it counts, in whatever wording.
    """
    taken: dict[str, list[str]] = {}
    for fact in (*forget, *trained):
        taken.setdefault(fact.relation, []).append(fact.subject)
    prompts = {fact.prompt for fact in (*forget, *trained)}
    return [
        replace(
            fact,
            neighbors=tuple(
                prompt
                for prompt in fact.neighbors
                if prompt not in prompts and not any(subject in prompt for subject in taken[fact.relation])
            ),
        )
        for fact in forget
    ]


@lru_cache(maxsize=4)
def _converted(source: str, facts_file: str | None, stamp: tuple[tuple[str, int, int], ...]) -> Converted:
    """Read once per process, and again when the file changes (`stamp`)."""
    if source == "planted":
        return _planted(records())
    return converted(read(Path(facts_file)) if facts_file is not None else download(source), {})


def _planted(rows: Sequence[Mapping[str, Any]]) -> Converted:
    """Invented records are read by the code that reads ROME's."""
    reading = Reading(tuple(parse(rows, "the planted CounterFact")), "", ())
    return converted(reading, {kind.id: kind.question for kind in KINDS})
