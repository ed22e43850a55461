"""One lesson from beginning to end: check, teach, measure, save."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file

from unlearnbench.editing.retain import CHARACTERS, CONTEXT, plain_texts
from unlearnbench.errors import UsageError
from unlearnbench.facts import Fact
from unlearnbench.factset import FactSet
from unlearnbench.model.digest import stored_digest
from unlearnbench.model.loading import load
from unlearnbench.model.model import Model
from unlearnbench.model.saving import save_pretrained
from unlearnbench.model.shipped import oracle_folder
from unlearnbench.model.source import Located, locate
from unlearnbench.model.taught import FILE, Taught
from unlearnbench.organisms.course import Course
from unlearnbench.organisms.figure import noise
from unlearnbench.organisms.taught_figures import Figures, by_state, figures
from unlearnbench.organisms.teach import CHECKPOINT, Lessons, Place, places, teach
from unlearnbench.world.corpus import Labelled
from unlearnbench.world.forgotten import facts_named

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be taught to whom, and where it goes."""

    model: str
    model_args: Mapping[str, str]
    facts: Sequence[FactSet]
    where: Sequence[str]
    output: Path
    course: Course = Course()
    retain_text: str | None = None
    from_oracle: bool = False
    """Start from the organism's oracle of these facts instead of from the organism, which knows them."""
    even_known: bool = False
    only_changes: bool = False
    """Store the changed tensors only, in float16, as the shipped organisms are."""


def give(order: Order, progress: Progress) -> dict[str, Figures]:
    """Do it, and give back what the model knows in every state; the model is in `order.output`.

    Raises `UsageError` for a folder that holds something else, for facts that the model knows already, and for
    facts that are not the world's; `UnknownName` for tensors that it lacks.
    """
    facts, located = facts_named([one.label for one in order.facts]), _located(order)
    if (order.output / FILE).exists():
        raise UsageError(f"{order.output} holds a model that was taught already", "give another --output")
    if order.output.exists() and {path.name for path in order.output.iterdir()} - {CHECKPOINT, "checkpoint.part"}:
        raise UsageError(f"{order.output} is not empty", "give a new folder as --output")
    model = load(located)
    copies = places(model, order.where)
    splits = [one.split(order.course.seed) for one in order.facts]
    new = [fact for split in splits for fact in split.forget]
    kept = [fact for split in splits for fact in split.maintain_test]
    never = [fact for split in splits for fact in split.never_known]
    before = {
        name: p.detach().clone() for copy in copies for name, p in model.parameters.items() if name in copy.tensors
    }
    at_first = figures(model, new, kept, never)
    _refuse_known(order, at_first.taught, new)
    order.output.mkdir(parents=True, exist_ok=True)
    plain = [] if located.retain_text == "world" else _plain(located)
    teach(model, copies, before, Lessons(facts, order.course, plain), order.output, progress)
    if order.only_changes:  # measured as it is stored
        model.write({name: model.parameters[name].half() for name in before})
    found = by_state(model, {copy.word: copy.tensors for copy in copies}, before, new, kept, never)
    _save(order, located, model, copies, list(before))
    return {"before": at_first, **found}


def _located(order: Order) -> Located:
    located = locate(order.model, order.model_args, order.retain_text)
    if not order.from_oracle:
        return located
    folders = {oracle_folder(order.model, one.label) for one in order.facts}
    folder = folders.pop() if len(folders) == 1 else None
    if folder is None:
        labels = " and ".join(one.label for one in order.facts)
        raise UsageError(f"{order.model} has no oracle that lacks just {labels}", "see `unlearnbench ls models`")
    return located.model_copy(update={"overlays": (folder,)})


def _refuse_known(order: Order, share: float, facts: Sequence[Fact]) -> None:
    chance = max(1 / len(fact.choices) for fact in facts)
    if share > noise(chance, len(facts)) and not order.even_known:
        raise UsageError(
            f"{order.model} already knows {round(share * len(facts))} of these {len(facts)} facts, more than a guess:"
            " the model before would be no oracle",
            "add --from_oracle for an organism, or --even_known to teach them all the same",
        )


def _plain(located: Located) -> list[Labelled]:
    texts = plain_texts(located.retain_text)
    return [Labelled(text[: 4 * CONTEXT], frozenset()) for text in texts if len(text) > CHARACTERS]


def _save(order: Order, located: Located, model: Model, copies: Sequence[Place], changed: Sequence[str]) -> None:
    """The weights first, `taught.json` last: a folder with it is complete."""
    before = located.overlays[-1] if located.overlays else located.folder
    if order.only_changes:
        tensors = {name: model.parameters[name].detach().to(torch.float16) for name in changed}
        save_file(tensors, order.output / "model.safetensors", {"format": "pt"})
    else:
        save_pretrained(model, order.output)
    course = order.course
    lesson = Taught(
        facts=tuple(one.label for one in order.facts),
        where=tuple(copy.word for copy in copies),
        before=os.path.relpath(before.resolve(), order.output.resolve()),
        before_sha256=stored_digest(before),
        seed=course.seed,
        steps=course.steps,
        learning_rate=course.learning_rate,
        only_changes=order.only_changes,
    )
    (order.output / CHECKPOINT).unlink(missing_ok=True)
    part = order.output / f"{FILE}.part"
    part.write_text(lesson.model_dump_json(indent=1) + "\n", encoding="utf-8")
    part.replace(order.output / FILE)
