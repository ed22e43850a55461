"""Who may see which facts: what is forgotten, what is kept, what was never taught."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from unlearnbench.errors import UnlearnBenchError, UsageError
from unlearnbench.facts import Fact
from unlearnbench.hashing import content_hash

PARTS: tuple["Part", ...] = ("relearn", "held_out", "maintain_train", "maintain_dev", "maintain_test", "never_known")
Part = Literal["relearn", "held_out", "forget", "maintain_train", "maintain_dev", "maintain_test", "never_known"]


class ItemsWithheld(UnlearnBenchError):
    """A method reached for items that only tasks may see."""


@dataclass(frozen=True)
class Split:
    """Which facts are forgotten, which are kept, and which nobody ever taught.

    `relearn` (T) and `held_out` (V) are the two halves of the facts to forget: both are unlearned,
    attacks train on T only and are scored on V only. Parts are disjoint by (subject, relation).
    """

    relearn: Sequence[Fact]
    held_out: Sequence[Fact]
    maintain_train: Sequence[Fact]
    maintain_dev: Sequence[Fact]
    maintain_test: Sequence[Fact]
    never_known: Sequence[Fact] = ()
    stages: Sequence[Sequence[Fact]] = ()
    """Where facts are forgotten one group after another: the groups, in order. Empty: all at once."""

    def __post_init__(self) -> None:
        if not self.relearn or not self.held_out or not self.maintain_train:
            raise UsageError("a split needs facts in T, in V and in maintain-train")
        owner: dict[tuple[str, str], str] = {}
        for part in PARTS:
            for fact in getattr(self, part):
                key = (fact.subject, fact.relation)
                if key in owner:
                    raise UsageError(f"{key} is in both {owner[key]} and {part}; parts must be disjoint")
                owner[key] = part
        trained = {fact.prompt for fact in self.maintain_train}
        for fact in self.forget:
            for prompt in fact.neighbors:
                if prompt in trained:
                    raise UsageError(
                        f"{fact.id!r}: its neighbour {prompt!r} occurs verbatim in maintain-train",
                        "leave the neighbour out: it would measure what was trained",
                    )
        if self.stages and sorted(f.id for stage in self.stages for f in stage) != sorted(f.id for f in self.forget):
            raise UsageError("the stages of a split must hold each fact to forget once")

    @property
    def forget(self) -> Sequence[Fact]:
        """T ∪ V, the facts to forget."""
        return [*self.relearn, *self.held_out]

    def facts(self, part: Part) -> Sequence[Fact]:
        """The facts of one part."""
        facts: Sequence[Fact] = getattr(self, part)
        return facts

    def for_methods(self) -> "TrainingSplit":
        """What a method may see."""
        return TrainingSplit(
            forget=[fact.for_training() for fact in self.forget],
            maintain_train=[fact.for_training() for fact in self.maintain_train],
            maintain_dev=[fact.for_training() for fact in self.maintain_dev],
        )

    def stages_for_methods(self) -> Sequence["TrainingSplit"]:
        """What a method may see at each of the times that it is asked to edit."""
        whole = self.for_methods()
        stages = [[fact.for_training() for fact in stage] for stage in self.stages]
        return [replace(whole, forget=stage) for stage in stages] or [whole]

    def shortened(self, count: int) -> "Split":
        """The first `count` facts of every part: enough to see what is asked."""
        shorter: dict[str, Any] = {part: list(self.facts(part))[:count] for part in PARTS}
        return Split(**shorter)

    @property
    def items_hash(self) -> str:
        """Content hash of all items, in order and part by part."""
        parts: dict[str, object] = {part: [fact.hash for fact in getattr(self, part)] for part in PARTS}
        if self.stages:
            parts["stages"] = [[fact.id for fact in stage] for stage in self.stages]
        return content_hash(parts)


@dataclass(frozen=True)
class TrainingSplit:
    """The facts a method may see, without their held-out forms. Test items raise on access."""

    forget: Sequence[Fact]
    maintain_train: Sequence[Fact]
    maintain_dev: Sequence[Fact] = field(default=())

    @property
    def maintain_test(self) -> Sequence[Fact]:
        """Withheld."""
        raise ItemsWithheld("methods may use maintain_train and maintain_dev; maintain_test is for tasks")

    @property
    def never_known(self) -> Sequence[Fact]:
        """Withheld."""
        raise ItemsWithheld("never-known facts are a control of the attacks; methods may not use them")
