"""An attack: a task that may train or perturb the model, which is put back, to find what is still there."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from unlearnbench.asking.prompts import ask_directly, chance
from unlearnbench.asking.row import Metric, Row
from unlearnbench.asking.sides import BASE, KEPT, NEVER_KNOWN, RECOVERED, Side, has_never_known, sides_of
from unlearnbench.asking.task import Battery, Task
from unlearnbench.facts import Split

if TYPE_CHECKING:
    from unlearnbench.asking.place import AskingPlace
    from unlearnbench.model.model import Model


@dataclass(frozen=True, kw_only=True)
class Attack(Task):
    """It may use T (`split.relearn_train`) only, and is scored on V (`split.relearn_test`) only.

    `recovery` is ρ = (a − n) / (b − n): a is the accuracy on V after the attack, b that of the base without any, and n
    that after the same attack on facts that nobody ever taught (chance, where a fact set has none). 0 is what the
    attack finds where there is nothing, 1 is everything; below 0 the edited model avoids the truth even so.
    """

    primary: ClassVar[str] = "recovery"
    order: ClassVar[int] = 50
    battery: ClassVar[Battery] = "default"

    @abstractmethod
    def attack(self, model: Model, side: Side, split: Split, place: AskingPlace) -> list[Row]:
        """Attack the model with `side.taught`, and ask `side.asked`; of the split only facts to keep may be used too.

        Leaves the model as it was. Rows of `side.subset` without coordinates are what the attack comes to; on the first
        side rows of `maintain` say what it left of the facts to keep.
        """

    def base_rows(self, model: Model, split: Split, place: AskingPlace) -> list[Row]:
        """What the base, as which the model is now, says of V without any attack."""
        return ask_directly(model, split.relearn_test, BASE, place.batch_size)

    def rows(self, model: Model, split: Split, place: AskingPlace) -> list[Row]:
        """The base's answers, then the attack on V, then on never-known facts."""
        with as_base(model, place):
            found = self.base_rows(model, split, place)
        for side in sides_of(split):
            found += self.attack(model, side, split, place)
        return found

    def metrics(self, split: Split) -> Sequence[Metric]:
        """Recovery, what it is made of, and what the attack leaves of facts to keep."""
        return attack_metrics(split)


def recovery(split: Split, name: str = "recovery", value: str = "accuracy", at: tuple[str, ...] = ()) -> Metric:
    """ρ of a value: as a share of the way from never-known facts (chance, where there are none) to the base."""
    floor = NEVER_KNOWN if has_never_known(split) else chance(split.relearn_test, split)
    return Metric(name, value, RECOVERED, "robust", "oracle", at=at, floor=floor, ceiling=BASE)


def attack_metrics(split: Split, prefix: str = "", at: tuple[str, ...] = ()) -> list[Metric]:
    """What attacks measure that ask questions with given answers; `at` makes them curves."""
    asked, twins = split.relearn_test, has_never_known(split)
    guess = chance(asked, split)
    found = [
        recovery(split, f"{prefix}recovery", at=at),
        Metric(f"{prefix}accuracy", "accuracy", RECOVERED, "robust", "oracle", guess, at=at),
        Metric(f"{prefix}p_true", "p_true", RECOVERED, "robust", "oracle", at=at),
    ]
    if any(fact.edit_target for fact in asked):
        found.append(Metric(f"{prefix}edit_accuracy", "edit_accuracy", RECOVERED, "robust", "max", guess, at=at))
    if twins:
        found.append(Metric(f"{prefix}never_known_accuracy", "accuracy", NEVER_KNOWN, "robust", "min", guess, at=at))
    return [*found, Metric(f"{prefix}maintain_accuracy", "accuracy", KEPT, "general", "max", at=at)]


@contextmanager
def as_base(model: Model, place: AskingPlace) -> Iterator[None]:
    """Within: the model has the weights of before the edit."""
    edited = place.edited(model)
    with model.restored(edited):
        model.write({name: place.base[name] for name in edited})
        yield
