"""A task: a scored question asked of an edited model, one row per item."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from unlearnbench.asking.items import Item, rendered
from unlearnbench.asking.row import Metric, Row
from unlearnbench.facts import Form, Split
from unlearnbench.factset import FactsCard
from unlearnbench.model.source import ModelSource
from unlearnbench.registry import Catalogue, Entry, tasks

if TYPE_CHECKING:
    from unlearnbench.asking.place import AskingPlace
    from unlearnbench.asking.questions import Question
    from unlearnbench.model.model import Model

Battery = Literal["questions", "quick", "default", "full"]
"""Groups of tasks, each with those before it: what is asked of the model as it is, attacks of seconds, those that every
method should stand, and all. `sports/quick` asks those of one; the bare name of a fact set means `default`."""
BATTERIES: tuple[Battery, ...] = ("questions", "quick", "default", "full")


@dataclass(frozen=True, kw_only=True)
class Task(Entry):
    """A question, called `<fact set>/<name>`. A subclass is one final file in `tasks/`; its fields are settings.

    Its `version` is raised whenever prompts or scoring change: scores of two versions are not comparable.
    """

    catalogue: ClassVar[Catalogue] = tasks
    primary: ClassVar[str]
    """The metric that tables show: one number, not a curve. "" means the first."""
    order: ClassVar[int] = 50
    """Where it stands in tables: forgetting on the left (10), keeping on the right (90)."""
    needs: ClassVar[frozenset[Form]] = frozenset()
    """What facts must have to be asked so; it is not asked of fact sets without."""
    battery: ClassVar[Battery] = "questions"
    """The smallest battery that it is part of."""
    about_facts: ClassVar[bool] = True
    """Whether it asks about a split's facts. What does not is called by its own name (`mmlu`), is part of no battery,
    and asks the same whatever was forgotten."""
    one_of: ClassVar[str] = ""
    """The setting by which it is many tasks in one, each with a name of its own: `general/hellaswag` sets `task`."""
    trains: ClassVar[bool] = False
    """Whether it changes the model; all weights are then copied before it and put back after it."""

    def skip(self, facts: FactsCard, source: ModelSource) -> str | None:
        """Why these facts cannot be asked so on this model, or None."""
        lacking = sorted(self.needs - facts.forms)
        return f"the facts of {facts.label} have no {', no '.join(lacking)}" if lacking else None

    def resolved(self, source: ModelSource) -> Task:
        """The same task with what the model decides filled in, as it is recorded and hashed."""
        return self

    def items_hash(self, split: Split) -> str:
        """What identifies the items that it asks."""
        return split.items_hash

    def questions(self, split: Split) -> Sequence[Question]:
        """What it asks, as data, where that is questions with given answers: lm-eval can then ask it, too."""
        return ()

    def items(self, model: Model, split: Split, count: int) -> Sequence[Item]:
        """The first `count` of each subset, as the model gets them; none where it does not ask items of its own."""
        return rendered(model, self.questions(split), count)

    @abstractmethod
    def metrics(self, split: Split) -> Sequence[Metric]:
        """What is measured of these facts, with its direction. What is declared here must have rows."""

    @abstractmethod
    def rows(self, model: Model, split: Split, place: AskingPlace) -> list[Row]:
        """Ask the model; must leave it as it was, unless it `trains`."""
