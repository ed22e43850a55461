"""MMLU as lm-eval's task objects: its own template, on questions that we read; or laid out as organisms were taught."""

import random
from collections import Counter
from collections.abc import Mapping
from functools import cache
from typing import Any

from unlearnbench.layouts import labels, multiple_choice
from unlearnbench.lm_eval_bridge.exam import CHOICES, Exam
from unlearnbench.lm_eval_bridge.guard import process_kept
from unlearnbench.lm_eval_bridge.quiet import quiet
from unlearnbench.lm_eval_bridge.tasks import FEWSHOT_SEED, OWN
from unlearnbench.seeds import derive_seed

with process_kept():
    from lm_eval.api.task import ConfigurableTask  # type: ignore[import-untyped]
    from lm_eval.tasks._yaml_loader import load_yaml  # type: ignore[import-untyped]

TEMPLATE = OWN / "mmlu" / "default" / "_default_template_yaml"


def subjects() -> tuple[str, ...]:
    """The 57 subjects, as lm-eval's files name them."""
    names = (load_yaml(path, resolve_func=False).get("dataset_name") for path in TEMPLATE.parent.glob("mmlu_*.yaml"))
    return tuple(sorted(filter(None, names)))


def exam_tasks(exams: Mapping[str, Exam], shots: int, layout: str = "lines") -> dict[str, Any]:
    """What lm-eval's `evaluate` takes, one task per subject, called as lm-eval calls it: `mmlu_anatomy`.

    `lines` is lm-eval's own template, `inline` the layout that organisms were taught.
    """
    with quiet():
        tasks = {f"mmlu_{subject}": _task(subject, exam, shots, layout) for subject, exam in exams.items()}
    return {"tasks": tasks, "groups": {}, "group_map": {}}


def _task(subject: str, exam: Exam, shots: int, layout: str) -> ConfigurableTask:
    import datasets

    rows = {
        split: [
            {"question": q.question, "subject": subject, "choices": list(q.choices), "answer": q.answer} for q in qs
        ]
        for split, qs in exam.items()
    }
    about = subject.replace("_", " ")
    config = {
        **_template(),
        "task": f"mmlu_{subject}",
        "description": f"The following are multiple choice questions (with answers) about {about}.\n\n",
        **(_inline() if layout == "inline" else {}),
        "custom_dataset": lambda **_: {split: datasets.Dataset.from_list(given) for split, given in rows.items()},
        "num_fewshot": shots,
    }
    del config["dataset_path"]
    task = ConfigurableTask(config=config)
    task.set_fewshot_seed(seed=FEWSHOT_SEED)
    return task


def _inline() -> dict[str, Any]:
    """What of the template differs: options before the question, no description, questions after one another."""
    return {
        "description": "",
        "doc_to_text": lambda doc: multiple_choice(doc["question"], doc["choices"], "inline"),
        "doc_to_choice": list(labels("inline", CHOICES)),
        "fewshot_delimiter": " ",
    }


@cache
def _template() -> dict[str, Any]:
    found: dict[str, Any] = load_yaml(TEMPLATE, resolve_func=False)
    return found


def stratified(sizes: Mapping[str, int], limit: int | None) -> dict[str, list[int]]:
    """Which questions of each subject to ask: `limit` in all, each subject in proportion to its size.

    One after another goes to the subject that lies furthest behind (Webster's method; by largest remainders, more
    in all can be fewer of one). A subject's questions come in an order drawn once for all, so that a smaller limit
    asks a part of what a larger one asks. None, or a limit above all, asks everything.
    """
    if limit is None or limit >= sum(sizes.values()):
        return {subject: list(range(size)) for subject, size in sizes.items()}
    turns = sorted(((2 * turn + 1) / size, subject) for subject, size in sizes.items() for turn in range(size))
    counts = Counter(subject for _, subject in turns[:limit])
    drawn = {}
    for subject, size in sizes.items():
        order = random.Random(derive_seed(0, "limit", subject)).sample(range(size), size)
        drawn[subject] = sorted(order[: counts[subject]])
    return drawn
