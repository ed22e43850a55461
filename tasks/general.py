"""And in general? Any task of lm-eval, unchanged, as a side effect: `general/hellaswag`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field

from unlearnbench.asking.items import Item, documents
from unlearnbench.asking.place import AskingPlace
from unlearnbench.asking.row import Metric, Row
from unlearnbench.asking.task import Task
from unlearnbench.errors import UsageError
from unlearnbench.facts import Split
from unlearnbench.hashing import content_hash, text_hash
from unlearnbench.model.model import Model
from unlearnbench.model.source import ModelSource
from unlearnbench.registry import register

SUBSET = "documents"


@register("general")
@dataclass(frozen=True, kw_only=True)
class General(Task):
    """A task or group of lm-eval by its name, with its own prompts, examples and metrics."""

    task: str = ""
    """lm-eval's name, given as `general/NAME`."""
    num_fewshot: Annotated[int, Field(ge=0)] | None = None
    """Examples in the prompt; none given takes the task's own."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """Documents in all, drawn from the tasks of a group in proportion to their sizes; none given asks all."""
    folder: Path | None = None
    """A folder with lm-eval tasks of your own (YAML), as for lm-eval's `--include_path`."""

    version: ClassVar[int] = 1
    primary: ClassVar[str] = ""
    order: ClassVar[int] = 97
    about_facts: ClassVar[bool] = False
    one_of: ClassVar[str] = "task"

    def resolved(self, source: ModelSource) -> General:
        """The same; raises `UsageError` where lm-eval has no such task, before any model is loaded."""
        from unlearnbench.lm_eval_bridge.tasks import refuse_unknown

        if not self.task:
            raise UsageError("general asks a task of lm-eval", "say which: general/hellaswag")
        if self.folder is not None and not self.folder.is_dir():
            raise UsageError(f"general/{self.task}: there is no folder {self.folder}", "give one with YAML files")
        refuse_unknown(self.task, self._folders)
        return self

    def items_hash(self, split: Split) -> str:
        """Of the version of lm-eval, whose files say what is asked; with a folder, of its files and of all documents.

        What the hub has under a dataset's name may change; the item log holds the digest of every prompt.
        """
        told: dict[str, Any] = {"lm_eval": version("lm-eval"), "files": self._digest()}
        if self.folder is not None:
            tasks, _ = self._chosen()
            told["documents"] = {name: text_hash(repr(list(task.eval_docs))) for name, task in tasks.items()}
        return content_hash(told)

    def metrics(self, split: Split) -> Sequence[Metric]:
        """lm-eval's own, over all documents and, of a group, by task; perplexities as nats or bits per word or byte.

        Raises `MissingPrerequisite` where the data are out of reach.
        """
        from unlearnbench.lm_eval_bridge.documents import measured

        tasks, _ = self._chosen()
        found = measured(tasks)
        whole = [Metric(one.key, one.key, SUBSET, "general", one.better, weight=one.weight) for one in found]
        curves = [
            Metric(f"curve_{one.key}", one.key, SUBSET, "general", one.better, at=("task",), weight=one.weight)
            for one in found
        ]
        return whole + (curves if len(tasks) > 1 else [])

    def rows(self, model: Model, split: Split, place: AskingPlace) -> list[Row]:
        """One row per document and filter; of a group, the same again for its task."""
        from unlearnbench.lm_eval_bridge.documents import values_of
        from unlearnbench.lm_eval_bridge.evaluating import document_rows, evaluate, ungrouped
        from unlearnbench.lm_eval_bridge.scorer import scorer_of

        chosen, wanted = self._chosen()
        results = evaluate(
            scorer_of(model, place.batch_size),
            ungrouped(chosen),
            samples=None if self.limit is None else wanted,
            chat_template=model.chat,
        )
        rows = list[tuple[str, Row]]()
        for name, found in document_rows(results).items():
            for one in found:
                item = f"{name}#{one.doc_id}"
                filtered = item if one.filter == "none" else f"{item}#{one.filter}"
                prompt = f"sha256:{one.prompt_hash}"
                rows.append((name, Row(filtered, item, SUBSET, values_of(one), prompt_sha256=prompt)))
        whole = [row for _, row in rows]
        return whole + ([replace(row, at={"task": name}) for name, row in rows] if len(chosen) > 1 else [])

    def items(self, model: Model, split: Split, count: int) -> list[Item]:
        """Documents as lm-eval puts them, drawn from all tasks."""
        fewer = replace(self, limit=min(count, self.limit or count))
        return documents(model, *fewer._chosen(), SUBSET)

    @property
    def _folders(self) -> tuple[Path, ...]:
        return () if self.folder is None else (self.folder,)

    def _chosen(self) -> tuple[dict[str, Any], Mapping[str, list[int]]]:
        """The tasks that are asked, and which documents of each."""
        from unlearnbench.lm_eval_bridge.exams import stratified

        tasks = _tasks(self.task, self.num_fewshot, self.folder, self._digest())
        pinned = [name for name, task in tasks.items() if task.get_config("num_fewshot") != self.num_fewshot]
        if self.num_fewshot is not None and pinned:
            raise UsageError(f"{pinned[0]} is asked without examples, whatever is wanted", "leave num_fewshot out")
        wanted = stratified({name: len(task.eval_docs) for name, task in tasks.items()}, self.limit)
        wanted = {name: places for name, places in wanted.items() if places}
        return {name: tasks[name] for name in wanted}, wanted

    def _digest(self) -> str | None:
        from unlearnbench.lm_eval_bridge.tasks import folder_files

        return None if self.folder is None else folder_files(self.folder)


@lru_cache(maxsize=8)
def _tasks(name: str, shots: int | None, folder: Path | None, digest: str | None) -> dict[str, Any]:
    """Loaded once per process, and again when the user's files change (`digest`)."""
    from unlearnbench.lm_eval_bridge.tasks import load_tasks

    found: dict[str, Any] = load_tasks([name], () if folder is None else (folder,), shots)["tasks"]
    return found
