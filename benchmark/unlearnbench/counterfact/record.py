"""A CounterFact record: one fact, the fact that an edit writes in its place, and prompts around both."""

from dataclasses import dataclass

from unlearnbench.errors import UsageError

BLANK = "{}"


@dataclass(frozen=True)
class CounterFactRecord:
    """One case. Texts are as in the file, but for the space before a subject or a target.

    A subject and relation may occur in several cases, with other targets (the twin cities of Lyon); split by
    (subject, relation), not by case.
    """

    case_id: int
    relation_id: str
    """Wikidata's property, such as P103; in EasyEdit's files, which do not give it, the template."""
    subject: str
    template: str
    """The prompt with `{}` for the subject."""
    target_true: str
    target_new: str
    paraphrase_prompts: tuple[str, ...] = ()
    neighborhood_prompts: tuple[str, ...] = ()
    """Of other subjects, of whom `target_true` is true."""
    attribute_prompts: tuple[str, ...] = ()
    """Of other subjects, of whom `target_new` is true."""
    generation_prompts: tuple[str, ...] = ()
    """Beginnings of free text about the subject, each once; in ROME's files all of them repeat."""

    def __post_init__(self) -> None:
        for name in ("subject", "target_true", "target_new"):
            text = getattr(self, name)
            if not text or text != text.strip():
                raise UsageError(f"case {self.case_id}: {name} is empty or has space around it: {text!r}")
        if self.template.count(BLANK) != 1:
            raise UsageError(f"case {self.case_id}: the prompt needs one {BLANK} for the subject: {self.template!r}")
        if self.target_true == self.target_new:
            raise UsageError(f"case {self.case_id}: the new target {self.target_new!r} is the true one")

    @property
    def prompt(self) -> str:
        """What is asked; the answer follows after a space."""
        return self.template.replace(BLANK, self.subject)
