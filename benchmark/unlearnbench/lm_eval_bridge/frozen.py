"""Requests of lm-eval's tasks, built once and asked many times: prompts do not depend on weights."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from unlearnbench.lm_eval_bridge.guard import process_kept

with process_kept():
    from lm_eval.api.instance import Instance  # type: ignore[import-untyped]
    from lm_eval.api.task import Task  # type: ignore[import-untyped]

FEWSHOT_SEED = 1234
"""That of lm-eval's command line."""
_PROBE = [{"role": role, "content": role} for role in ("system", "user", "assistant", "user")]
Documents = list[tuple[int, Any]]


def freeze(tasks: Iterable[Task]) -> None:
    """Let each task build its requests once per way of building them, and keep them.

    What is kept belongs to the task's settings and data, to limit, samples and shots, and to what the chat
    template makes of a conversation: change one of them and requests are built anew. Examples that are drawn at
    random are drawn once, so that all edits of a model are asked the same.
    """
    for task in tasks:
        if not isinstance(vars(task).get("build_all_requests"), _Kept):
            task.build_all_requests = _Kept(task)


class _Kept:
    """In the place of a task's `build_all_requests`."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._build: Callable[..., None] = task.build_all_requests
        self._iterate: Callable[..., Iterator[tuple[int, Any]]] = task.doc_iterator
        self._kept: dict[str, tuple[list[Instance], dict[str, Documents], object]] = {}
        self._documents: dict[str, Documents] = {}

    def __call__(self, *, chat_template: Callable[..., str] | None = None, **settings: Any) -> None:
        """Give the task its requests, without answers."""
        templated = chat_template(_PROBE) if chat_template else None
        parts = self._identities()
        key = repr([sorted(settings.items()), templated, parts])
        if key not in self._kept:
            self._documents = {}
            self._task.doc_iterator = self._remembered
            # Or the examples drawn would depend on what was built before.
            self._task.set_fewshot_seed(seed=FEWSHOT_SEED)
            self._build(chat_template=chat_template, **settings)
            # Objects in the key are told apart by their address: they must live as long as the key.
            self._kept[key] = (list(self._task.instances), self._documents, list(vars(self._task.config).values()))
        instances, self._documents, _ = self._kept[key]
        for instance in instances:
            instance.resps, instance.filtered_resps = [], {}
        self._task._instances = list(instances)

    def _identities(self) -> list[object]:
        """What requests are made of: settings (functions by address), and each part of the data."""
        data = getattr(self._task, "dataset", None)
        parts = data.items() if isinstance(data, Mapping) else [("", data)]
        marks = [(name, getattr(part, "_fingerprint", None) or (id(part), _length(part))) for name, part in parts]
        return [sorted(vars(self._task.config).items()), marks]

    def _remembered(self, **which: Any) -> Iterator[tuple[int, Any]]:
        """The documents, decoded once: `evaluate` goes through them again after it has built the requests."""
        key = repr(sorted(which.items()))
        if key not in self._documents:
            self._documents[key] = list(self._iterate(**which))
        return iter(self._documents[key])


def _length(part: object) -> int | None:
    return len(part) if hasattr(part, "__len__") else None
