"""Our tasks as lm-eval documents: what `tasks/lm_eval/*.yaml` point to."""

import difflib
import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from unlearnbench import registry
from unlearnbench.asking import QuestionTask
from unlearnbench.errors import UsageError
from unlearnbench.factset import FactSet
from unlearnbench.runspec import RUN
from unlearnbench.settings import configured
from unlearnbench.source import ModelSource
from unlearnbench.split import Split
from unlearnbench.task import Task

FACTS_SETTINGS = ("variant", "source", "least_probability", "facts_file")
TASK_SETTINGS = ("layout", "orders")
SETTINGS = ("run", "seed", *FACTS_SETTINGS, *TASK_SETTINGS)

_SOME_MODEL = ModelSource(
    kind="hf",
    name="lm-eval",
    weights_sha256="",
    config_sha256="",
    tokenizer_sha256="",
    layout="lines",
    learning_rate=0.0,
    retain_text="pile",
)
"""What `auto` settings are read for: lm-eval does not say which model it will ask."""


def load(*, facts: str, question: str, part: str, **given: Any) -> Mapping[str, Any]:
    """The `test` split of one task: what is asked of one part of the facts.

    `given` is what lm-eval calls metadata: `--metadata`, and the arguments of the model. `run` is the
    `unlearnbench_run.json` beside a saved model and means exactly the questions of that run; where `pretrained` is
    such a folder, it need not be said. Otherwise `variant`, `seed`, `source`, `facts_file`, `layout` say what to ask.
    Raises `UsageError` for a setting that is nearly one of these, and for a task whose questions have no given answers.
    """
    import datasets

    wanted = {key: value for key, value in given.items() if key in SETTINGS}
    for key in set(given) - set(wanted):
        near = difflib.get_close_matches(key, SETTINGS, n=1, cutoff=0.8)
        if near:
            raise UsageError(f"--metadata: {key!r} is no setting of {facts}/{question}", f"did you mean {near[0]!r}?")
    run = wanted.pop("run", None) or _beside(given.get("pretrained"))
    if run is not None:
        other_facts = any(key in wanted for key in ("seed", *FACTS_SETTINGS))
        wanted = {**_of_run(Path(run), facts, question), **wanted, **({"items": None} if other_facts else {})}
    fact_set, split = _split(facts, int(wanted.get("seed", 0)), wanted)
    if wanted.get("items") not in (None, split.items_hash):
        raise UsageError(
            f"{facts}: these are not the facts of the run in {run}: {split.items_hash} instead of {wanted['items']}",
            "the files that it read were changed or moved; say facts_file in --metadata, or ask without 'run'",
        )
    asking: type[Task] = registry.questions[question]
    own = {key: wanted[key] for key in TASK_SETTINGS if key in wanted and key in _names(asking)}
    task = configured(asking, own, f"task {facts}/{question}").resolved(_SOME_MODEL)
    if not isinstance(task, QuestionTask):
        raise UsageError(f"{fact_set.name}/{question} puts no questions with given answers; lm-eval cannot ask it")
    rows = [
        {"item": q.item, "prompt": q.prompt, "choices": list(q.choices), "gold": q.choices.index(q.gold)}
        for q in task.questions(split)
        if q.part == part
    ]
    return {"test": datasets.Dataset.from_list(rows)}


def _split(facts: str, seed: int, wanted: Mapping[str, Any]) -> tuple[FactSet, Split]:
    entry: type[FactSet] = registry.fact_sets[facts]
    chosen = {key: wanted[key] for key in FACTS_SETTINGS if key in wanted and key in _names(entry)}
    fact_set = configured(entry, {"variant": entry.variants[0], **chosen}, f"facts {facts}").resolved(_SOME_MODEL)
    if "known" in wanted:
        fact_set = fact_set.knowing(wanted["known"])
    return fact_set, fact_set.split(seed)


def _names(entry: Any) -> set[str]:
    return {field.name for field in fields(entry)}


def _beside(pretrained: Any) -> Path | None:
    """The run that is kept beside a model in a folder."""
    path = Path(str(pretrained)) / RUN if pretrained is not None else None
    return path if path is not None and path.is_file() else None


def _of_run(path: Path, facts: str, question: str) -> dict[str, Any]:
    """Seed and settings of a run that was kept with its model.

    Where it was about other facts, only what the model decides: layout, and whether facts are planted.
    """
    try:
        run = json.loads(path.read_text("utf-8"))
        spec, asked = run["spec"], run["facts"]
        model = {"layout": spec["model"]["layout"]}
        if spec["facts"]["name"] != facts:
            return {**model, "source": "planted"} if spec["model"]["kind"] == "organism" else model
        same = [task["settings"] for task in spec["tasks"] if task["name"] == f"{facts}/{question}"]
        own = {key: value for settings in same for key, value in settings.items() if key in TASK_SETTINGS}
        return {**asked, **model, **own, "seed": spec["seed"], "items": spec["facts"]["items_sha256"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is not the {RUN} of a saved model: {error!r}") from None


def prompt(doc: Mapping[str, Any]) -> str:
    """`doc_to_text`: a function, since lm-eval would take a template that renders to digits for a number."""
    return str(doc["prompt"])


def choices(doc: Mapping[str, Any]) -> list[str]:
    """`doc_to_choice`."""
    return list(doc["choices"])


def gold(doc: Mapping[str, Any]) -> int:
    """`doc_to_target`."""
    return int(doc["gold"])
