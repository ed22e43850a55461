"""Can the answer be read off the activations, though the model does not say it?

Linear probes on the residual stream, at the subject's last token and where the answer is predicted: a logistic
regression, and the nearest class mean (Marks & Tegmark, 2023, arXiv 2310.06824). They are trained on T and on facts to
keep, with the true answers, and read V. A probe on shuffled answers tells how much it finds by itself (Hewitt & Liang,
2019, arXiv 1909.03368).
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar, NamedTuple

from pydantic import Field

from unlearnbench.asking.attack import Attack, recovery
from unlearnbench.asking.place import AskingPlace
from unlearnbench.asking.probes import KINDS, Kind, Reading, read
from unlearnbench.asking.prompts import chance
from unlearnbench.asking.row import Metric, Row, row_about
from unlearnbench.asking.sides import BASE, NEVER_KNOWN, RECOVERED, Side, has_never_known
from unlearnbench.errors import UsageError
from unlearnbench.facts import Fact, Split
from unlearnbench.model.model import Model
from unlearnbench.model.reading import Position, encode, outputs_at
from unlearnbench.model.scoring import Asked, Scored
from unlearnbench.model.subject import subject_tokens
from unlearnbench.registry import register
from unlearnbench.seeds import derive_seed

if TYPE_CHECKING:
    import numpy as np

AXES = ("probe", "position", "layer")
LEAST = 1e-300
"""Probability that is no less than nothing."""


class Where(NamedTuple):
    """One probe: its coordinates."""

    probe: Kind
    position: str
    layer: int
    """0 is the embeddings, n the output of the n-th block."""


@register("probing")
@dataclass(frozen=True, kw_only=True)
class Probing(Attack):
    """Linear probes for the answer at every layer; the one that reads the unseen half of T best is scored on V."""

    strength: Annotated[float, Field(gt=0)] = 1.0
    """Inverse of the logistic regression's penalty (scikit-learn's C)."""

    order: ClassVar[int] = 61

    def metrics(self, split: Split) -> Sequence[Metric]:
        """Recovery between never-known facts and what probes read in the base; the edited answer; every layer."""
        guess, edited = chance(split.relearn_test, split), any(fact.edit_target for fact in split.relearn_test)
        found = [
            recovery(split),
            Metric("accuracy", "accuracy", RECOVERED, "robust", "oracle", guess),
            Metric("base_accuracy", "accuracy", BASE, "general", "max", guess),
            Metric("shuffled_accuracy", "shuffled", RECOVERED, "general", "min", guess),
            Metric("curve_accuracy", "accuracy", RECOVERED, "robust", "oracle", guess, at=AXES),
            Metric("curve_base_accuracy", "accuracy", BASE, "general", "max", guess, at=AXES),
        ]
        if edited:
            found.append(Metric("edit_accuracy", "edit_accuracy", RECOVERED, "robust", "max", guess))
            found.append(Metric("curve_edit_accuracy", "edit_accuracy", RECOVERED, "robust", "max", guess, at=AXES))
        if has_never_known(split):
            found.append(Metric("never_known_accuracy", "accuracy", NEVER_KNOWN, "robust", "min", guess))
        return found

    def base_rows(self, model: Model, split: Split, place: AskingPlace) -> list[Row]:
        """The same probes on the base."""
        return self.attack(model, Side(split.relearn_train, split.relearn_test, BASE), split, place)

    def attack(self, model: Model, side: Side, split: Split, place: AskingPlace) -> list[Row]:
        """All probes learn facts to keep and half of T, and read the other half and V; the best one learns all of T."""
        half = len(side.taught) // 2
        kept, first, second = list(split.maintain_train), side.taught[:half], side.taught[half:]
        streams = _streams(model, [*kept, *side.taught, *side.asked])
        found, best, most = list[Row](), next(_all(model, streams)), -1.0
        for done, where in enumerate(_all(model, streams)):
            place.progress(done, len(KINDS) * len(streams))
            stream = streams[where.position, where.layer]
            readings = self._read(where.probe, stream, [*kept, *first], [*second, *side.asked])
            right = sum(r.answer == fact.answer for r, fact in zip(readings, second, strict=False))
            best, most = (where, right) if right > most else (best, most)
            rows = _rows(readings[len(second) :], side, [{}] * len(side.asked))
            found += [_at(row, where) for row in rows]
        stream = streams[best.position, best.layer]
        told = [*kept, *side.taught]
        shuffled = self._read(best.probe, stream, told, side.asked, _shuffled(told, place.seed))
        control = [{"shuffled": float(r.answer == f.answer)} for r, f in zip(shuffled, side.asked, strict=True)]
        return found + _rows(self._read(best.probe, stream, told, side.asked), side, control)

    def _read(
        self,
        probe: Kind,
        stream: Mapping[str, np.ndarray],
        seen: Sequence[Fact],
        unseen: Sequence[Fact],
        answers: Mapping[str, str] | None = None,
    ) -> list[Reading]:
        """What a probe says of each unseen fact; it is trained on the facts of the same relation."""
        import numpy as np

        found: dict[str, Reading] = {}
        for relation in dict.fromkeys(fact.relation for fact in unseen):
            mine = [fact for fact in seen if fact.relation == relation]
            theirs = [fact for fact in unseen if fact.relation == relation]
            if not mine:  # nothing to learn from
                found |= {fact.id: Reading({}) for fact in theirs}
                continue
            said = [answers[fact.id] if answers else fact.answer for fact in mine]
            read_off = read(
                probe,
                np.stack([stream[fact.id] for fact in mine]),
                said,
                np.stack([stream[fact.id] for fact in theirs]),
                self.strength,
            )
            found |= {fact.id: one for fact, one in zip(theirs, read_off, strict=True)}
        return [found[fact.id] for fact in unseen]


Streams = Mapping[tuple[str, int], Mapping[str, "np.ndarray"]]


def _streams(model: Model, facts: Sequence[Fact]) -> Streams:
    """Activations by position, layer and fact; at the subject only where all prompts say it."""
    paths = model.stream_paths
    contexts = [encode(model, fact.prompt, fact.answer)[0] for fact in facts]
    positions: dict[str, list[Position]] = {"answer": [(ids, len(ids) - 1) for ids in contexts]}
    try:
        last = [subject_tokens(model, fact).stop - 1 for fact in facts]
        positions["subject"] = list(zip(contexts, last, strict=True))
    except UsageError:
        pass  # a prompt does not say its subject: there is nothing to read there
    found = {}
    for name, where in positions.items():
        outputs = outputs_at(model, paths, where)
        for layer, path in enumerate(paths):
            stream = outputs[path].float().cpu().numpy()
            found[name, layer] = {fact.id: stream[row] for row, fact in enumerate(facts)}
    return found


def _all(model: Model, streams: Streams) -> Iterator[Where]:
    """Every probe; of equals, the deepest and the plainest is chosen."""
    for probe in KINDS:
        for position, layer in sorted(streams, key=lambda one: (one[0], -one[1])):
            yield Where(probe, position, layer)


def _shuffled(facts: Sequence[Fact], seed: int) -> dict[str, str]:
    """Every fact's answer is another's of the same relation."""
    found: dict[str, str] = {}
    for relation in dict.fromkeys(fact.relation for fact in facts):
        mine = [fact for fact in facts if fact.relation == relation]
        answers = [fact.answer for fact in mine]
        random.Random(derive_seed(seed, "shuffled", relation)).shuffle(answers)
        found |= {fact.id: answer for fact, answer in zip(mine, answers, strict=True)}
    return found


def _rows(readings: Sequence[Reading], side: Side, more: Sequence[Mapping[str, float]]) -> list[Row]:
    """Where the true answer is none that the probe could give, it is wrong."""
    found = []
    for one, fact, others in zip(readings, side.asked, more, strict=True):
        row = Row(fact.id, fact.subject, side.subset, {"accuracy": 0.0, "p_true": 0.0})
        if fact.answer in one.probabilities and len(one.probabilities) > 1:
            logs = tuple(math.log(max(p, LEAST)) for p in one.probabilities.values())
            asked, scored = Asked(fact.prompt, tuple(one.probabilities)), Scored(logs, frozenset())
            row = row_about(fact, asked, scored, side.subset)
        elif fact.answer in one.probabilities:
            row = row.saying(accuracy=1.0, p_true=1.0)
        edited = {} if fact.edit_target is None else {"edit_accuracy": float(one.answer == fact.edit_target)}
        found.append(row.saying(**{**edited, **row.values, **others}))
    return found


def _at(row: Row, where: Where) -> Row:
    return replace(row, at=where._asdict())
