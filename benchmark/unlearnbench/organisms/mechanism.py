"""Is the mechanism there, and not only the answers? Components silenced, kept alone, and swapped.

A *swap* replaces what one module puts out, at one position, by what it puts out on the
same sentence about somebody with another answer, and asks whether the answer follows. Swapping the
residual stream tells where the answer *is*, swapping a component's output, which component puts it there;
silencing components, which are needed. An untrained model flips about as often as it guesses.
"""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from unlearnbench.model.hooks import intervened
from unlearnbench.model.model import Model
from unlearnbench.model.reading import Position, last_logits, outputs_at, tokens_of
from unlearnbench.world.people import Person


@contextmanager
def silenced(model: Model, components: Iterable[str]) -> Iterator[None]:
    """Within: these components put out nothing, wherever they are."""
    with intervened(model, {model.components[name].path: torch.zeros_like for name in components}):
        yield


@contextmanager
def kept_alone(model: Model, mlps: Iterable[str]) -> Iterator[None]:
    """Within: all other MLPs are silenced."""
    kept = set(mlps)
    with silenced(model, [name for name in model.components if name.startswith("mlp.") and name not in kept]):
        yield


@dataclass(frozen=True)
class Swaps:
    """Share of answers that follow a swap, by what was swapped."""

    wording: str
    subject: Mapping[str, float]
    """At the subject's last token."""
    answer: Mapping[str, float]
    """At the answer position, the last token of the prompt."""


def sites(model: Model) -> dict[str, str]:
    """What can be swapped: every component's output, and the residual stream after every block; name → module path."""
    components = {name: component.path for name, component in model.components.items()}
    return components | {f"residual.{block}": f"{model.family.blocks}.{block}" for block in range(model.blocks)}


def swaps(model: Model, people: Sequence[Person], wording: str, sports: Sequence[str], seed: int = 0) -> Swaps:
    """Swap every person with one of another sport, drawn by seed; `wording` is a prompt with `{s}`."""
    rng = random.Random(seed)
    donors = [rng.choice([other for other in people if other.sport != person.sport]) for person in people]
    paths, found = sites(model), dict[bool, dict[str, float]]()
    for at_subject in (True, False):
        clean = [position_of(model, wording, person.name, at_subject=at_subject) for person in people]
        other = [position_of(model, wording, donor.name, at_subject=at_subject) for donor in donors]
        outputs = outputs_at(model, list(paths.values()), other)
        flips = {}
        for name, path in paths.items():
            answers = _answers_with(model, clean, path, outputs[path], sports)
            flips[name] = sum(a == donor.sport for a, donor in zip(answers, donors, strict=True)) / len(people)
        found[at_subject] = flips
    return Swaps(wording, found[True], found[False])


def position_of(model: Model, wording: str, name: str, *, at_subject: bool) -> Position:
    """The prompt's tokens, and the position of the subject's last token or of the prompt's last one."""
    ids = tokens_of(model, wording.format(s=name))
    before = wording.split("{s}")[0] + name
    return ids, (len(tokens_of(model, before)) if at_subject else len(ids)) - 1


@torch.no_grad()
def _answers_with(
    model: Model, positions: Sequence[Position], path: str, outputs: Tensor, sports: Sequence[str]
) -> list[str]:
    """The likeliest sport of each prompt when the module's output is replaced at its position."""
    ids_of = [model.tokenizer(sport, add_special_tokens=False).input_ids[0] for sport in sports]
    answers: list[str] = []
    for start in range(0, len(positions), 64):
        batch, new = positions[start : start + 64], outputs[start : start + 64]
        rows, columns = torch.arange(len(batch)), torch.tensor([position for _, position in batch])

        def swap(output: Tensor, rows: Tensor = rows, columns: Tensor = columns, new: Tensor = new) -> Tensor:
            changed = output.clone()
            changed[rows, columns] = new
            return changed

        with intervened(model, {path: swap}):
            logits = last_logits(model, [ids for ids, _ in batch])
        answers += [sports[i] for i in logits[:, ids_of].argmax(1).tolist()]
    return answers
