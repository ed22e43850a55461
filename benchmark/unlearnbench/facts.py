"""A fact: one thing a model may know, and all the forms in which it can be asked."""

from dataclasses import dataclass, replace

from unlearnbench.errors import UsageError
from unlearnbench.hashing import content_hash
from unlearnbench.layouts import LETTERS

MOST_OPTIONS = len(LETTERS)


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
    """What an editing objective writes in place of the answer."""
    paraphrases: tuple[str, ...] = ()
    """Held-out wordings of the prompt; methods never see them."""
    question: str | None = None
    """The question form, for multiple choice; methods never see it."""
    options: tuple[str, ...] = ()
    """The options of the multiple-choice form, in a fixed order that every task shuffles."""
    neighbors: tuple[str, ...] = ()
    """The prompt asked of other subjects, of whom the same answer is true; methods never see them."""
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
    def choices(self) -> tuple[str, ...]:
        """Every answer that is scored; the true one first."""
        return (self.answer, *self.distractors)

    @property
    def hash(self) -> str:
        """Content hash over everything that the fact says."""
        return content_hash({**self.__dict__})

    def for_training(self) -> "Fact":
        """The same fact without its held-out forms."""
        return replace(self, paraphrases=(), question=None, options=(), neighbors=(), openings=())
