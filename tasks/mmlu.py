"""And what was learned at school? MMLU, or the embedded organisms' own exam, through lm-eval."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field

from unlearnbench.errors import UsageError
from unlearnbench.mmlu import CHOICES, HUB, LETTERS, REVISION, Exam, folder_digest, read_folder, read_hub
from unlearnbench.model import Model
from unlearnbench.organisms.school import FOLDER
from unlearnbench.registry import register
from unlearnbench.source import ModelSource
from unlearnbench.split import Split
from unlearnbench.task import EVERY, Examination, Metric, Row, Task

SCHOOL = "school"


@register("mmlu")
@dataclass(frozen=True, kw_only=True)
class Mmlu(Task):
    """Four-option questions about many subjects, in lm-eval's own template; organisms get their school facts."""

    num_fewshot: Annotated[int, Field(ge=0)] = 0
    """Examples in the prompt, at most five; the classic number is 5."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """Questions in all, drawn from every subject in proportion to its size; none given asks all."""
    data: str = "auto"
    """`school` facts of the organisms, the hub's `cais/mmlu`, or a folder of the same layout; `auto` by model."""

    version: ClassVar[int] = 1
    primary: ClassVar[str] = "accuracy"
    beside: ClassVar[bool] = True

    def resolved(self, source: ModelSource) -> "Mmlu":
        """With the data that suit the model."""
        suits = SCHOOL if source.kind == "organism" else HUB
        return replace(self, data=suits) if self.data == "auto" else self

    def inputs(self) -> dict[str, str]:
        """The digest of the questions or the hub's revision, and the version of lm-eval, whose template it is.

        Raises `UsageError` where there is no such folder.
        """
        from importlib.metadata import version

        return {**self._source(), "lm_eval": version("lm-eval")}

    def _source(self) -> dict[str, str]:
        if self.data == HUB:
            return {"revision": REVISION}
        folder = _folder(self.data)
        if not folder.is_dir():
            raise UsageError(f"mmlu[data={self.data}]: there is no such folder", f"or say data={SCHOOL} or data={HUB}")
        return {"questions": folder_digest(folder)}

    def metrics(self, split: Split) -> Sequence[Metric]:
        """Accuracy over all questions (lm-eval's `acc`), and of each subject."""
        return [
            Metric("accuracy", "accuracy", EVERY, "general", "max", 1 / CHOICES),
            Metric("p_true", "p_true", EVERY, "general", "max"),
            Metric("ties", "tie", EVERY, "general", "min"),
            *(Metric(subject, "accuracy", subject, "general", "max", 1 / CHOICES) for subject in self._exams()),
        ]

    def rows(self, model: Model, place: Examination) -> list[Row]:
        """One row per question; its part is the subject."""
        from unlearnbench.lm_eval_bridge.evaluating import document_rows, evaluate
        from unlearnbench.lm_eval_bridge.exams import stratified
        from unlearnbench.lm_eval_bridge.rows import choice_row
        from unlearnbench.lm_eval_bridge.scorer import scorer_of

        exams = self._exams()
        asked = stratified({subject: len(exam["test"]) for subject, exam in exams.items()}, self.limit)
        wanted = {f"mmlu_{subject}": places for subject, places in asked.items() if places}
        tasks = _tasks(self.data, *self._source().values(), self.num_fewshot)
        results = evaluate(
            scorer_of(model, place.batch_size),
            {**tasks, "tasks": {name: tasks["tasks"][name] for name in wanted}},
            samples=wanted,
            chat_template=model.chat,
        )
        found = document_rows(results)
        return [choice_row(d, name.removeprefix("mmlu_"), tuple(LETTERS)) for name in wanted for d in found[name]]

    def _exams(self) -> Mapping[str, Exam]:
        exams = _read(self.data, *self._source().values())
        examples = min(len(exam["dev"]) for exam in exams.values())
        if self.num_fewshot > examples:
            what = f"mmlu has {examples} examples of each subject, and {self.num_fewshot} are asked for"
            raise UsageError(what, f"the largest --num_fewshot here is {examples}")
        return exams


@lru_cache(maxsize=2)
def _read(data: str, digest: str) -> Mapping[str, Exam]:
    """Read once per process, and again when the files change (`digest`)."""
    if data == HUB:
        from unlearnbench.lm_eval_bridge.exams import subjects

        return read_hub(subjects())
    return read_folder(_folder(data))


@lru_cache(maxsize=2)
def _tasks(data: str, digest: str, shots: int) -> dict[str, Any]:
    """Built once: to build the requests of all of MMLU takes longer than to answer them on a small model."""
    from unlearnbench.lm_eval_bridge.exams import exam_tasks

    return exam_tasks(_read(data, digest), shots)


def _folder(data: str) -> Path:
    return FOLDER if data == SCHOOL else Path(data).expanduser()
