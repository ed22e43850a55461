"""Tasks that put questions with given answers: what most tasks are."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from unlearnbench.errors import UsageError
from unlearnbench.facts import Fact
from unlearnbench.model import Model
from unlearnbench.scoring import Asked, score
from unlearnbench.split import Split
from unlearnbench.task import Examination, Row, Task, row_of


@dataclass(frozen=True)
class Question:
    """A prompt, its possible answers, and which is true."""

    item: str
    """Unique within its part."""
    cluster: str
    """The subject: questions about one subject are not independent."""
    part: str
    prompt: str
    choices: tuple[str, ...]
    gold: str
    target: str | None = None
    """What an edit puts in its place."""

    @classmethod
    def about(cls, fact: Fact, part: str, prompt: str | None = None, form: str = "") -> "Question":
        """A fact's own prompt, or another one with the same answers; `form` tells the items of one fact apart."""
        return cls(
            item=f"{fact.id}#{form}" if form else fact.id,
            cluster=fact.subject,
            part=part,
            prompt=fact.prompt if prompt is None else prompt,
            choices=fact.choices,
            gold=fact.answer,
            target=fact.edit_target,
        )


@dataclass(frozen=True, kw_only=True)
class QuestionTask(Task):
    """A subclass says what is asked; here it is scored. lm-eval asks the same questions (`tasks/lm_eval/`)."""

    @abstractmethod
    def questions(self, split: Split) -> Sequence[Question]:
        """Everything that is asked of this split."""

    def refuse(self, name: str, split: Split) -> None:
        """Nor where it would ask nothing, such as paraphrases of facts that have none."""
        primary = next(metric for metric in self.metrics(split) if metric.name == self.primary)
        if not any(question.part == primary.part for question in self.questions(split)):
            raise UsageError(f"{name} has nothing to ask: these facts lack what it needs", f"leave {name} out")

    def rows(self, model: Model, place: Examination) -> list[Row]:
        """One row per question."""
        questions = self.questions(place.split)
        asked = [Asked(question.prompt, question.choices) for question in questions]
        return [
            row_of(one, scored, item=q.item, cluster=q.cluster, part=q.part, target=q.target, gold=q.gold)
            for q, one, scored in zip(questions, asked, score(model, asked, place.batch_size), strict=True)
        ]
