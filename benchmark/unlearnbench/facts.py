"""Facts, and who may see which of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, get_args

from unlearnbench.errors import UnlearnBenchError, UsageError
from unlearnbench.hashing import content_hash
from unlearnbench.layouts import LETTERS

MOST_OPTIONS = len(LETTERS)
Form = Literal["edit_target", "paraphrases", "question", "neighbours", "openings"]
"""What a fact may have besides its prompt, its answer and its distractors; a question comes with its options."""
Subset = Literal[
    "forget", "relearn_train", "relearn_test", "maintain_train", "maintain_dev", "maintain_test", "never_known"
]
SUBSETS: tuple[Subset, ...] = get_args(Subset)[1:]
"""Those that a split is made of."""


@dataclass(frozen=True)
class Fact:
    """One thing a model may know: a cloze prompt and the answer that completes it.

    Answers and distractors are written without the space that stands before them in the text.
    """

    subject: str
    relation: str
    prompt: str
    """Ends where the answer begins, without the space before it."""
    answer: str
    distractors: tuple[str, ...]
    edit_target: str | None = None
    """What an editing objective writes instead of the answer; chosen by fact set and seed, for facts to forget and for
    never-known ones. Facts to keep have none."""
    paraphrases: tuple[str, ...] = ()
    """Held-out wordings of the prompt; methods never see them."""
    question: str | None = None
    """The question form, for multiple choice; methods never see it."""
    options: tuple[str, ...] = ()
    """The options of the multiple-choice form, in a fixed order that every task shuffles."""
    neighbours: tuple[str, ...] = ()
    """Prompts about other subjects, of whom the same answer is true; methods never see them."""
    openings: tuple[str, ...] = ()
    """Beginnings of free text about the subject; methods never see them."""

    def __post_init__(self) -> None:
        if self.answer in self.distractors:
            raise UsageError(f"fact {self.id!r}: its answer {self.answer!r} is among its own distractors")
        if not self.distractors or len(set(self.distractors)) < len(self.distractors):
            raise UsageError(f"fact {self.id!r} needs distractors, all different; it has {self.distractors!r}")
        if self.edit_target is not None and self.edit_target not in self.distractors:
            raise UsageError(f"fact {self.id!r}: its edit target {self.edit_target!r} is not a distractor")
        if len(self.options) > MOST_OPTIONS or len(set(self.options)) < len(self.options):
            raise UsageError(f"fact {self.id!r} may have {MOST_OPTIONS} options, all different: {self.options!r}")
        if self.options and self.answer not in self.options:
            raise UsageError(f"fact {self.id!r}: its answer {self.answer!r} is not among its options")

    @property
    def id(self) -> str:
        """What identifies the fact within its fact set."""
        return f"{self.relation}:{self.subject}"

    @property
    def key(self) -> tuple[str, str]:
        """What tells it apart from every other fact of a split."""
        return self.subject, self.relation

    @property
    def choices(self) -> tuple[str, ...]:
        """Every answer that is scored; the true one first."""
        return (self.answer, *self.distractors)

    @property
    def hash(self) -> str:
        """Content hash over everything that the fact says."""
        # Forms that few facts have do not change the hashes of others.
        rare = {name for name in ("neighbours", "openings") if not getattr(self, name)}
        return content_hash({name: value for name, value in self.__dict__.items() if name not in rare})

    def has(self, form: Form) -> bool:
        """Whether the fact has this form."""
        return bool(self.options and self.question) if form == "question" else bool(getattr(self, form))

    def for_training(self) -> "Fact":
        """The same fact without its held-out forms."""
        return replace(self, paraphrases=(), question=None, options=(), neighbours=(), openings=())


class ItemsWithheld(UnlearnBenchError):
    """A method reached for items that only tasks may see."""


@dataclass(frozen=True)
class Split:
    """Which facts are forgotten, which are kept, and which nobody ever taught.

    `relearn_train` (T) and `relearn_test` (V) are the two halves of the facts to forget: both are unlearned,
    attacks train on T only and are scored on V only. Parts are disjoint by (subject, relation).
    """

    relearn_train: Sequence[Fact]
    relearn_test: Sequence[Fact]
    maintain_train: Sequence[Fact]
    maintain_dev: Sequence[Fact]
    maintain_test: Sequence[Fact]
    never_known: Sequence[Fact] = ()
    stages: Sequence[frozenset[str]] = ()
    """The ids of what is forgotten first, then, and so on; empty where all of it is forgotten at once."""

    def __post_init__(self) -> None:
        for subset in self.__dataclass_fields__:  # shared by all cells: nobody may reorder or extend them
            object.__setattr__(self, subset, tuple(getattr(self, subset)))
        if not all((self.relearn_train, self.relearn_test, self.maintain_train, self.maintain_test)):
            raise UsageError("a split needs facts in T, in V, in maintain-train and in maintain-test")
        owner: dict[tuple[str, str], str] = {}
        for subset in SUBSETS:
            for fact in self.facts(subset):
                if fact.key in owner:
                    raise UsageError(f"{fact.key} is in both {owner[fact.key]} and {subset}; subsets must be disjoint")
                owner[fact.key] = subset

    @property
    def forget(self) -> Sequence[Fact]:
        """T ∪ V, the facts to forget."""
        return [*self.relearn_train, *self.relearn_test]

    def facts(self, subset: Subset) -> Sequence[Fact]:
        """The facts of one subset."""
        facts: Sequence[Fact] = getattr(self, subset)
        return facts

    def only(self, kept: Callable[[Fact], bool]) -> "Split":
        """The facts for which this holds; never-known ones stay all. Raises `UsageError` where too few are left.

        The parts need no longer be balanced.
        """
        subsets: dict[str, Any] = {
            subset: [fact for fact in getattr(self, subset) if kept(fact)]
            for subset in SUBSETS
            if subset != "never_known"
        }
        return replace(self, **subsets)

    def for_methods(self) -> "TrainingSplit":
        """What a method may see."""
        return TrainingSplit(
            forget=[fact.for_training() for fact in self.forget],
            maintain_train=[fact.for_training() for fact in self.maintain_train],
            maintain_dev=[fact.for_training() for fact in self.maintain_dev],
            relearn_train=[fact.for_training() for fact in self.relearn_train],
            stages=self.stages,
        )

    @cached_property
    def items_hash(self) -> str:
        """Content hash of all items, in order and subset by subset."""
        items = {subset: [fact.hash for fact in self.facts(subset)] for subset in SUBSETS}
        return content_hash({**items, **_told(self.stages)})


@dataclass(frozen=True)
class TrainingSplit:
    """The facts a method may see, without their held-out forms. Test items raise on access."""

    forget: Sequence[Fact]
    maintain_train: Sequence[Fact]
    maintain_dev: Sequence[Fact] = field(default=())
    relearn_train: Sequence[Fact] = field(default=())
    """T, among `forget`: what may be looked at to decide when to stop. The other half is trained on as well, and its
    answers are seen by tasks only."""
    stages: Sequence[frozenset[str]] = ()
    """The ids of what is forgotten first, then, and so on; empty where all of it is forgotten at once."""

    @cached_property
    def items_hash(self) -> str:
        """Content hash of all that a method may see, in order: what identifies the facts of an edit."""
        subsets = [subset for subset in self.__dataclass_fields__ if subset != "stages"]
        items = {subset: [fact.hash for fact in getattr(self, subset)] for subset in subsets}
        return content_hash({**items, **_told(self.stages)})

    def in_stages(self) -> "list[TrainingSplit]":
        """One split for each stage that has facts to forget, with the same facts to keep; itself where there is one."""
        parts = [
            replace(
                self,
                forget=[fact for fact in self.forget if fact.id in stage],
                relearn_train=[fact for fact in self.relearn_train if fact.id in stage],
                stages=(),
            )
            for stage in self.stages
        ]
        return [part for part in parts if part.forget] or [self]

    @property
    def maintain_test(self) -> Sequence[Fact]:
        """Withheld."""
        raise ItemsWithheld("methods may use maintain_train and maintain_dev; maintain_test is for tasks")

    @property
    def never_known(self) -> Sequence[Fact]:
        """Withheld."""
        raise ItemsWithheld("never-known facts are a control of the attacks; methods may not use them")


def _told(stages: Sequence[frozenset[str]]) -> dict[str, list[list[str]]]:
    """What stages add to a hash: nothing, where there are none."""
    return {"stages": [sorted(stage) for stage in stages]} if stages else {}
