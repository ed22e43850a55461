"""Ask lm-eval's tasks of a model, and what was answered to each document."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from unlearnbench.errors import UsageError
from unlearnbench.lm_eval_bridge.frozen import freeze
from unlearnbench.lm_eval_bridge.guard import process_kept, untouched
from unlearnbench.lm_eval_bridge.quiet import quiet
from unlearnbench.lm_eval_bridge.scorer import SharedPrefixLM

with process_kept():
    from lm_eval import evaluator  # type: ignore[import-untyped]

CHOOSING = ("multiple_choice", "loglikelihood")
Value = float | tuple[float, float]


@dataclass(frozen=True)
class DocumentRow:
    """One document of a task, and what the model made of it."""

    doc_id: int
    """Its place in the split."""
    doc_hash: str
    prompt_hash: str
    """SHA-256, as lm-eval computes them."""
    filter: str
    target: Any
    """The index of the right choice, or the right text, as the task gives it."""
    answers: tuple[tuple[float, bool], ...]
    """(log-likelihood, whether greedy decoding finds it) of each request; none where text is generated."""
    metrics: Mapping[str, Value]
    """One value per metric; pairs such as (log-likelihood, words) where the task weighs documents."""


def evaluate(
    lm: SharedPrefixLM,
    tasks: Mapping[str, Any],
    *,
    limit: int | None = None,
    samples: Mapping[str, Sequence[int]] | None = None,
    chat_template: bool = False,
    system_instruction: str | None = None,
) -> dict[str, Any]:
    """lm-eval's own results of what `load_tasks` found, with all samples and without bootstrap.

    Requests are built at the first call and kept (`freeze`); the model and the process are left as they were;
    nothing is seeded. `limit` takes the first documents; `samples` takes those at these places, of the tasks
    that it names, and all documents of the others.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"the limit is {limit}", "give the number of documents, 1 or more")
    for name, some in (samples or {}).items():
        if not some:
            raise UsageError(f"no document of {name!r} is asked for", "leave the task out of `tasks`")
    # lm-eval takes documents in the order of the split and would number them in the order that they are named in.
    places = None if samples is None else {name: sorted(set(some)) for name, some in samples.items()}
    freeze(tasks["tasks"].values())
    with untouched(lm.held), quiet():
        results: dict[str, Any] = evaluator.evaluate(
            lm,
            dict(tasks),
            limit=limit,
            samples=places,
            bootstrap_iters=0,
            log_samples=True,
            apply_chat_template=chat_template,
            fewshot_as_multiturn=chat_template,  # as lm-eval's command line has it
            system_instruction=system_instruction,
        )
    return results


def ungrouped(tasks: Mapping[str, Any]) -> dict[str, Any]:
    """Tasks by name, as `load_tasks` would give them: without any group."""
    return {"tasks": dict(tasks), "groups": {}, "group_map": {}}


def document_rows(results: Mapping[str, Any]) -> dict[str, list[DocumentRow]]:
    """By task, one row per document (and filter), in lm-eval's order."""
    return {
        task: [_row(sample, results["configs"][task]["output_type"]) for sample in samples]
        for task, samples in results["samples"].items()
    }


def _row(sample: Mapping[str, Any], output_type: str) -> DocumentRow:
    found = {name: _value(sample[name]) for name in sample["metrics"]}
    return DocumentRow(
        doc_id=int(sample["doc_id"]),
        doc_hash=sample["doc_hash"],
        prompt_hash=sample["prompt_hash"],
        filter=sample["filter"],
        target=sample["target"],
        answers=tuple((float(value), bool(greedy)) for value, greedy in sample["filtered_resps"])
        if output_type in CHOOSING
        else (),
        metrics={name: value for name, value in found.items() if value is not None},
    )


def _value(value: Any) -> Value | None:
    """A number, or a pair of them; nothing else is a metric's value of one document."""
    if isinstance(value, Real):  # of Python or numpy, bool included
        return float(value)
    if isinstance(value, (tuple, list)) and len(value) == 2 and all(isinstance(part, Real) for part in value):
        return float(value[0]), float(value[1])
    return None
