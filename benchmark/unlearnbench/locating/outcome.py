"""How well an edit of one place works: what an editor would want of a localizer, tried out."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import harmonic_mean
from typing import TYPE_CHECKING

from unlearnbench.editing.localization import Localization
from unlearnbench.editing.objective import truths
from unlearnbench.editing.place import EditingPlace, silent
from unlearnbench.editing.relearning import Relearning
from unlearnbench.errors import Diverged, UsageError
from unlearnbench.facts import TrainingSplit
from unlearnbench.model.scoring import known_share
from unlearnbench.seeds import derive_seed

if TYPE_CHECKING:
    from unlearnbench.editing.finetuning import FineTuning
    from unlearnbench.model.model import Model


@dataclass(frozen=True)
class Outcome:
    """What an edit of one place led to, each a share between 0 and 1."""

    forgotten: float
    """Facts to forget whose answer is no longer the likeliest choice, …"""
    held: float
    """… half of T that is still so when the other half has been taught back, …"""
    kept: float
    """… and facts of maintain-dev that are still known."""
    relearned: float = 1.0
    """The half that was taught back, as it is known then: an attack that does not even teach tells nothing."""

    @property
    def score(self) -> float:
        """Their harmonic mean: an edit that fails at one of them has failed."""
        return harmonic_mean((self.forgotten, self.held, self.kept))


def outcomes(
    model: Model,
    split: TrainingSplit,
    place: EditingPlace,
    names: Sequence[str],
    method: FineTuning,
    relearning: Relearning,
) -> dict[str, Outcome]:
    """Edit each of these places alone, attack, look, and put the model back. V is not looked at after the attack."""
    order = sorted(split.relearn_train or split.forget, key=lambda fact: fact.id)
    random.Random(derive_seed(place.seed, "halves")).shuffle(order)
    taught, asked = order[::2], order[1::2]
    if not asked:
        raise UsageError("an edit is attacked with one half of T and asked the other; T has one fact")
    quiet, found = replace(place, progress=silent), {}
    for done, name in enumerate(names):
        place.progress(done, len(names))
        where = Localization.of(model, [name])
        with model.restored():
            try:
                method.edit(model, split, where, quiet)
                forgotten = 1 - known_share(model, split.forget)
                kept = known_share(model, split.maintain_dev) if split.maintain_dev else 1.0
                relearning.teach(model, truths(taught), place.retain, place.seed)
                found[name] = Outcome(forgotten, 1 - known_share(model, asked), kept, known_share(model, taught))
            except Diverged:
                found[name] = Outcome(1.0, 0.0, 0.0, 0.0)
    return found


def price(model: Model, split: TrainingSplit, place: EditingPlace, method: FineTuning, relearning: Relearning) -> float:
    """FLOP of one such outcome: those of one step of the edit, for every step of both."""
    tokens = model.tokens_forward, model.tokens_backward
    anywhere = Localization.of(model, [next(iter(model.components))])
    with model.restored(anywhere.tensors):
        replace(method, steps=1).edit(model, split, anywhere, replace(place, progress=silent))
    forward, backward = model.tokens_forward - tokens[0], model.tokens_backward - tokens[1]
    return 2.0 * model.size(model.parameters) * (forward + 2 * backward) * (method.steps + relearning.steps)
