"""And in general? Any task of lm-eval, unchanged, as a side effect: `general/hellaswag`."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field

from unlearnbench import registry
from unlearnbench.model import Model
from unlearnbench.registry import register
from unlearnbench.source import ModelSource
from unlearnbench.split import Split
from unlearnbench.task import Examination, Metric, Row, Task


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

    version: ClassVar[int] = 1
    primary: ClassVar[str] = ""
    """The first metric of the first task, since every task has its own."""
    beside: ClassVar[bool] = True
    many: ClassVar[bool] = True

    def resolved(self, source: ModelSource) -> "General":
        """The same; raises `UnknownName` where lm-eval has no such task, before any model is loaded."""
        from unlearnbench.lm_eval_bridge.tasks import refuse_unknown

        refuse_unknown(self.task, registry.included())
        return self

    def inputs(self) -> dict[str, str]:
        """The version of lm-eval, whose files say what is asked, or the digest of the user's own files."""
        from importlib.metadata import version

        from unlearnbench.lm_eval_bridge.tasks import own_files

        own = own_files(self.task, registry.included())
        return {"lm_eval": version("lm-eval"), **({} if own is None else {"files": own})}

    def metrics(self, split: Split) -> Sequence[Metric]:
        """lm-eval's own; perplexities as nats or bits per word or byte, whose mean has an error."""
        from unlearnbench.lm_eval_bridge.rows import metrics_of

        return metrics_of(_tasks(self.task, self.num_fewshot, registry.included())["tasks"])

    def rows(self, model: Model, place: Examination) -> list[Row]:
        """One row per document and filter; its part is the task, where a group has several."""
        from unlearnbench.lm_eval_bridge.evaluating import document_rows, evaluate
        from unlearnbench.lm_eval_bridge.exams import stratified
        from unlearnbench.lm_eval_bridge.rows import metric_rows
        from unlearnbench.lm_eval_bridge.scorer import scorer_of

        tasks = _tasks(self.task, self.num_fewshot, registry.included())
        sizes = {name: len(task.eval_docs) for name, task in tasks["tasks"].items()}
        wanted = {name: places for name, places in stratified(sizes, self.limit).items() if places}
        chosen = {name: tasks["tasks"][name] for name in wanted}
        found = document_rows(
            evaluate(
                scorer_of(model, place.batch_size),
                {"tasks": chosen, "groups": {}, "group_map": {}},
                samples=None if self.limit is None else wanted,
                chat_template=model.chat,
            )
        )
        return [row for name, documents in found.items() for row in metric_rows(documents, name)]


@lru_cache(maxsize=8)
def _tasks(name: str, shots: int | None, include: tuple[Path, ...]) -> dict[str, Any]:
    from unlearnbench.lm_eval_bridge.tasks import load_tasks

    return load_tasks([name], include, shots)
