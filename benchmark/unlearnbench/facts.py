"""Facts, where they come from, and who may see which of them."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from unlearnbench.errors import UnknownName, UnlearnBenchError, UsageError
from unlearnbench.hashing import content_hash
from unlearnbench.layouts import LETTERS
from unlearnbench.registry import Catalogue, Entry, fact_sets
from unlearnbench.settings import departures

MOST_OPTIONS = len(LETTERS)
Form = Literal["edit_target", "paraphrases", "question"]
"""What a fact may have besides its prompt, its answer and its distractors; a question comes with its options."""
Subset = Literal[
    "forget", "relearn_train", "relearn_test", "maintain_train", "maintain_dev", "maintain_test", "never_known"
]


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
        return content_hash({**self.__dict__})

    def has(self, form: Form) -> bool:
        """Whether the fact has this form."""
        return bool(self.options and self.question) if form == "question" else bool(getattr(self, form))

    def for_training(self) -> "Fact":
        """The same fact without its held-out forms."""
        return replace(self, paraphrases=(), question=None, options=())


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

    def __post_init__(self) -> None:
        for subset in self.__dataclass_fields__:  # shared by all cells: nobody may reorder or extend them
            object.__setattr__(self, subset, tuple(getattr(self, subset)))
        if not all((self.relearn_train, self.relearn_test, self.maintain_train, self.maintain_test)):
            raise UsageError("a split needs facts in T, in V, in maintain-train and in maintain-test")
        owner: dict[tuple[str, str], str] = {}
        for subset in self.__dataclass_fields__:
            for fact in getattr(self, subset):
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
        subsets: dict[str, list[Fact]] = {
            subset: [fact for fact in getattr(self, subset) if kept(fact)]
            for subset in self.__dataclass_fields__
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
        )

    @cached_property
    def items_hash(self) -> str:
        """Content hash of all items, in order and subset by subset."""
        subsets = self.__dataclass_fields__
        return content_hash({subset: [fact.hash for fact in getattr(self, subset)] for subset in subsets})


@dataclass(frozen=True)
class TrainingSplit:
    """The facts a method may see, without their held-out forms. Test items raise on access."""

    forget: Sequence[Fact]
    maintain_train: Sequence[Fact]
    maintain_dev: Sequence[Fact] = field(default=())
    relearn_train: Sequence[Fact] = field(default=())
    """T, among `forget`: what may be looked at to decide when to stop. The other half is trained on as well, and its
    answers are seen by tasks only."""

    @cached_property
    def items_hash(self) -> str:
        """Content hash of all that a method may see, in order: what identifies the facts of an edit."""
        subsets = self.__dataclass_fields__
        return content_hash({subset: [fact.hash for fact in getattr(self, subset)] for subset in subsets})

    @property
    def maintain_test(self) -> Sequence[Fact]:
        """Withheld."""
        raise ItemsWithheld("methods may use maintain_train and maintain_dev; maintain_test is for tasks")

    @property
    def never_known(self) -> Sequence[Fact]:
        """Withheld."""
        raise ItemsWithheld("never-known facts are a control of the attacks; methods may not use them")


@dataclass(frozen=True)
class FactsCard:
    """What is known of facts before anybody sees them: enough to decide who can use them, and no way to them."""

    name: str
    variant: str
    forms: frozenset[Form] = frozenset()
    """What every fact to forget has besides prompt and answer."""
    own_file: bool = False
    """Whether they come from a user's file instead of those that ship with the fact set."""

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
        if self.variant not in self.variants:
            raise UnknownName(f"variant of {self.name}", self.variant, self.variants)

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
    def word(self) -> str:
        """The label, and the settings in which it departs from its defaults."""
        pairs = [f"{key}={value.removesuffix('.0')}" for key, value in departures(self).items() if key != "facts_file"]
        return f"{self.label}[{','.join(pairs)}]" if pairs else self.label

    @abstractmethod
    def split(self, seed: int) -> Split:
        """The split of this seed: a pure function of the fact set and the seed."""
