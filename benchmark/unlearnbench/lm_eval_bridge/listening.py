"""What lm-eval would ask of a model, without asking it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from unlearnbench.lm_eval_bridge.evaluating import evaluate, ungrouped
from unlearnbench.lm_eval_bridge.guard import process_kept
from unlearnbench.lm_eval_bridge.scorer import Answer, SharedPrefixLM
from unlearnbench.model.model import Model

with process_kept():
    from lm_eval.api.instance import Instance  # type: ignore[import-untyped]


class Heard(NamedTuple):
    """One document of a task, as it is put."""

    name: str
    """Of the task, and the number of the document."""
    context: str
    context_ids: list[int]
    continuations: tuple[str, ...]
    """As they follow the context, spaces included; empty where text is generated."""
    continuation_ids: list[list[int]]
    gold: int | None


class _Listener(SharedPrefixLM):
    """Writes down every request, and answers nothing."""

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self.requests: dict[tuple[str, int], list[Instance]] = {}

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = True) -> list[Answer]:
        return [(0.0, False) for _ in self._noted(requests)]

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = True) -> list[float]:
        return [0.0 for _ in self._noted(requests)]

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = True) -> list[str]:
        return ["" for _ in self._noted(requests)]

    def _noted(self, requests: list[Instance]) -> list[Instance]:
        for one in requests:
            self.requests.setdefault((one.task_name, one.doc_id), []).append(one)
        return requests

    def heard(self, task: str, number: int, name: str) -> Heard:
        """What was asked about one of the task's documents; they are numbered in the order in which they were asked."""
        asked = self.requests[task, number]
        if asked[0].request_type != "loglikelihood":
            text = str(asked[0].args[0])
            return Heard(name, text, list(self.tok_encode(text)) if text else [], (), [], None)
        pairs = [one.args for one in asked]
        encoded = self._encode(pairs)
        after = [list(ids) for _, _, ids in encoded]
        return Heard(name, pairs[0][0], list(encoded[0][1]), tuple(text for _, text in pairs), after, None)


def heard(model: Model, tasks: Mapping[str, Any], places: Mapping[str, Sequence[int]]) -> list[Heard]:
    """The documents at these places of each task, with their contexts, continuations and tokens."""
    listener = _Listener(model)
    results = evaluate(listener, ungrouped(tasks), samples=places, chat_template=model.chat)
    found = []
    for task, samples in results["samples"].items():
        targets = {int(sample["doc_id"]): sample["target"] for sample in samples}
        for number, (document, target) in enumerate(sorted(targets.items())):
            one = listener.heard(task, number, f"{task}#{document}")
            right = target if isinstance(target, int) and target < len(one.continuations) else None
            found.append(one._replace(gold=right))
    return found
