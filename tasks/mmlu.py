"""And what was learned at school? MMLU, or the organisms' own exam, through lm-eval.

Hendrycks et al. (2021, arXiv 2009.03300).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from unlearnbench.asking.items import Item, documents
from unlearnbench.asking.place import AskingPlace
from unlearnbench.asking.row import Metric, Row, probability
from unlearnbench.asking.task import Task
from unlearnbench.errors import UsageError
from unlearnbench.facts import Split
from unlearnbench.hashing import content_hash
from unlearnbench.layouts import labels
from unlearnbench.lm_eval_bridge.exam import (
    CHOICES,
    REVISION,
    Exam,
    exam_digest,
    folder_digest,
    read_folder,
    read_hub,
)
from unlearnbench.lm_eval_bridge.exam import Question as ExamQuestion
from unlearnbench.model.model import Model
from unlearnbench.model.source import ModelSource
from unlearnbench.registry import register
from unlearnbench.world.school import exam_questions

if TYPE_CHECKING:
    from unlearnbench.lm_eval_bridge.evaluating import DocumentRow

SUBSET = "exam"


@register("mmlu")
@dataclass(frozen=True, kw_only=True)
class Mmlu(Task):
    """Four-option questions about many subjects, in lm-eval's own template; organisms get their school facts."""

    num_fewshot: Annotated[int, Field(ge=0, le=5)] = 0
    """Examples in the prompt; the classic number is 5."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """Questions in all, drawn from every subject in proportion to its size; none given asks all."""
    data: Literal["auto", "school", "hub"] = "auto"
    """`school` facts of the organisms, or `cais/mmlu` from the hub, at a pinned revision; `auto` by model."""
    folder: Path | None = None
    """A folder in the hub's layout or in the authors', instead."""
    layout: Literal["auto", "lines", "inline"] = "auto"
    """`lines` is lm-eval's template, `inline` what organisms were taught; `auto` suits the model."""

    version: ClassVar[int] = 1
    primary: ClassVar[str] = "accuracy"
    order: ClassVar[int] = 96
    about_facts: ClassVar[bool] = False

    def resolved(self, source: ModelSource) -> Mmlu:
        """With the data and the layout that suit the model. Raises `UsageError` for a folder that is not there."""
        if self.folder is not None and not self.folder.is_dir():
            raise UsageError(f"mmlu[folder={self.folder}]: there is no such folder", "or say data=school or data=hub")
        suits: Literal["school", "hub"] = "school" if source.kind == "organism" else "hub"
        layout: Literal["lines", "inline"] = "inline" if source.layout == "inline" else "lines"
        return replace(
            self,
            data=suits if self.data == "auto" else self.data,
            layout=layout if self.layout == "auto" else self.layout,
        )

    def items_hash(self, split: Split) -> str:
        """Of the questions, and of the version of lm-eval, which asks them."""
        from importlib.metadata import version

        return content_hash({"questions": self._digest(), "lm_eval": version("lm-eval")})

    def metrics(self, split: Split) -> Sequence[Metric]:
        """Accuracy over all questions (lm-eval's `acc`), and of each subject. Raises where they cannot be had."""
        _read(self.data, self.folder, self._digest())  # before hours of training
        return [
            Metric("accuracy", "accuracy", SUBSET, "general", "max", 1 / CHOICES),
            Metric("p_true", "p_true", SUBSET, "general", "max"),
            Metric("ties", "tie", SUBSET, "general", "min"),
            Metric("curve_accuracy", "accuracy", SUBSET, "general", "max", 1 / CHOICES, at=("subject",)),
        ]

    def rows(self, model: Model, split: Split, place: AskingPlace) -> list[Row]:
        """One row per question, and the same again for its subject."""
        from unlearnbench.lm_eval_bridge.evaluating import document_rows, evaluate, ungrouped
        from unlearnbench.lm_eval_bridge.scorer import scorer_of

        tasks, wanted = self._chosen()
        results = evaluate(
            scorer_of(model, place.batch_size),
            ungrouped(tasks),
            samples=wanted,
            chat_template=model.chat,
        )
        marks, found, whole = labels(self.layout, CHOICES), document_rows(results), list[tuple[str, Row]]()
        for name in wanted:
            subject = name.removeprefix("mmlu_")
            whole += [(subject, _row(document, subject, marks)) for document in found[name]]
        return [row for _, row in whole] + [replace(row, at={"subject": subject}) for subject, row in whole]

    def items(self, model: Model, split: Split, count: int) -> list[Item]:
        """Questions as lm-eval puts them, drawn from all subjects."""
        fewer = replace(self, limit=min(count, self.limit or count))
        return documents(model, *fewer._chosen(), SUBSET)

    def _chosen(self) -> tuple[dict[str, Any], dict[str, list[int]]]:
        """lm-eval's tasks, and which questions of each."""
        from unlearnbench.lm_eval_bridge.exams import stratified

        digest = self._digest()
        exams = _read(self.data, self.folder, digest)
        asked = stratified({subject: len(exam["test"]) for subject, exam in exams.items()}, self.limit)
        wanted = {f"mmlu_{subject}": places for subject, places in asked.items() if places}
        tasks = _tasks(self.data, self.folder, digest, self.num_fewshot, self.layout)["tasks"]
        return {name: tasks[name] for name in wanted}, wanted

    def _digest(self) -> str:
        if self.folder is not None:
            return folder_digest(self.folder)
        return REVISION if self.data == "hub" else exam_digest(_school())


def _row(document: DocumentRow, subject: str, choices: tuple[str, ...]) -> Row:
    """A document of lm-eval, whose target is the index of the right choice."""
    logprobs, gold = tuple(value for value, _ in document.answers), int(document.target)
    accuracy = document.metrics["acc"]
    return Row(
        item=f"{subject}#{document.doc_id}",
        cluster=f"{subject}#{document.doc_id}",
        subset=SUBSET,
        prompt_sha256=f"sha256:{document.prompt_hash}",
        choices=choices,
        gold=gold,
        logprobs=logprobs,
        values={
            "accuracy": accuracy if isinstance(accuracy, float) else accuracy[0],
            "p_true": probability(logprobs[gold]),
            "tie": float(logprobs.count(max(logprobs)) > 1),
        },
    )


@lru_cache(maxsize=2)
def _read(data: str, folder: Path | None, digest: str) -> Mapping[str, Exam]:
    """Read once per process, and again when the files change (`digest`)."""
    if folder is not None:
        return read_folder(folder)
    if data == "hub":
        from unlearnbench.lm_eval_bridge.exams import subjects

        return read_hub(subjects())
    return _school()


@lru_cache(maxsize=1)
def _school() -> Mapping[str, Exam]:
    return {
        subject: {split: [ExamQuestion(*one) for one in some] for split, some in splits.items()}
        for subject, splits in exam_questions().items()
    }


@lru_cache(maxsize=4)
def _tasks(data: str, folder: Path | None, digest: str, shots: int, layout: str) -> dict[str, Any]:
    """Built once: to build the requests of all of MMLU takes longer than to answer them on a small model."""
    from unlearnbench.lm_eval_bridge.exams import exam_tasks

    return exam_tasks(_read(data, folder, digest), shots, layout)
