"""*How*: an objective turns the facts to forget into losses."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from unlearnbench.facts import Fact, Form, TrainingSplit
from unlearnbench.model.reading import Pair, encode
from unlearnbench.registry import Catalogue, Entry, objectives

if TYPE_CHECKING:
    import torch

    from unlearnbench.editing.place import EditingPlace
    from unlearnbench.model.model import Model


Need = Form | Literal["reference"]
About = Literal["forget", "maintain"]
"""Which facts of a batch a loss is about."""


@dataclass(frozen=True)
class Batch:
    """What one training step sees."""

    step: int
    forget: Sequence[Fact]
    maintain: Sequence[Fact]
    retain: Sequence[list[int]]
    """Token ids of plain texts."""


@dataclass(frozen=True)
class Term:
    """One weighted loss of the sum that training minimizes."""

    name: str
    """What the training history calls it; none of the names that it has already (`training.OWN`)."""
    loss: Callable[[Batch], torch.Tensor]
    """The loss of a batch, a scalar."""
    weight: float = 1.0
    about: About | None = None
    """Whose prompts it runs, each in the order of the batch, once or several times: an adversary that attacks these
    facts perturbs the model while this loss is computed. None for what no adversary touches."""


@dataclass(frozen=True, kw_only=True)
class Objective(Entry):
    """Low when the facts to forget are answered as it wants. Its fields are settings: shown, recorded and hashed."""

    catalogue: ClassVar[Catalogue] = objectives
    needs: ClassVar[frozenset[Need]] = frozenset()
    """What the facts to forget must have, such as an edit target; facts without it are refused when planned. With
    `reference`, the place has a second, frozen model with the weights of before the edit, which takes its memory."""

    @abstractmethod
    def terms(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Sequence[Term]:
        """Its losses: the one on the facts to forget, and retain terms if it brings its own.

        Called once, before step 0, while the model still is the base: the moment for reference
        log-probabilities. Must leave the model as it was.
        """

    def reached(self, fact: Fact, answer: str) -> bool:
        """Whether a fact to forget whose likeliest choice is `answer` is as this objective wants it.

        Editing wants the edit target; an objective that needs none wants anything but the true answer.
        """
        return answer == fact.edit_target if "edit_target" in self.needs else answer != fact.answer


def truths(facts: Sequence[Fact]) -> list[Pair]:
    """Their prompts with the true answers."""
    return [(fact.prompt, fact.answer) for fact in facts]


def whole_texts(model: Model, facts: Sequence[Fact]) -> list[list[int]]:
    """Token ids of prompt and true answer, for losses on what a model makes of them."""
    encoded = (encode(model, *pair) for pair in truths(facts))
    return [prompt + answer for prompt, answer in encoded]


def forget_term(loss: Callable[[Sequence[Fact]], torch.Tensor]) -> Term:
    """The term of a loss on facts to forget: called `forget`, and attacked by the adversary if there is one."""
    return Term("forget", lambda batch: loss(batch.forget), about="forget")
