"""What an organism must be able to do, measured: every format, the references, and the mechanism."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import torch

from unlearnbench.asking.scoring import Asked, score
from unlearnbench.layouts import labels, multiple_choice
from unlearnbench.model.loading import load, oracle_tensors
from unlearnbench.model.model import Model
from unlearnbench.model.shipped import oracles
from unlearnbench.model.source import locate
from unlearnbench.organisms.mechanism import Swaps, probe_accuracy, swaps
from unlearnbench.world.athletes import BIG_SPORTS, SPORTS, Person, athletes
from unlearnbench.world.villagers import RELATIONS
from unlearnbench.world.wordings import DIRECT, HELD_OUT, QUESTION, TRAINED, prompt_of
from unlearnbench.world.world import forgettable, never_known, world

SWAPPED = (*(wording for wording in TRAINED if wording.endswith("{o}")), *HELD_OUT)
SWAP_PEOPLE = 150


@dataclass(frozen=True)
class Figure:
    """One measured number and what is asked of it."""

    name: str
    value: float
    least: float | None = None
    most: float | None = None

    @property
    def met(self) -> bool:
        """Whether it is what is asked."""
        return (self.least is None or self.value >= self.least) and (self.most is None or self.value <= self.most)

    @property
    def asked(self) -> str:
        """The bound, in words."""
        if self.least is not None:
            return f"≥ {self.least:g}"
        return f"≤ {self.most:g}" if self.most is not None else "–"


@dataclass(frozen=True)
class Report:
    """All figures of an organism, and the swaps behind the mechanism's."""

    figures: tuple[Figure, ...]
    swaps: tuple[Swaps, ...]
    probe: tuple[float, ...]
    """Accuracy of the sport's probe at the subject's last token, after each block."""

    @property
    def extraction(self) -> int:
        """The first block after which the answer position already holds the answer."""
        return extraction_block(self.swaps)


def extraction_block(found: Sequence[Swaps]) -> int:
    """The first block after which at least half of the answers follow a swap at the answer position."""
    blocks = len(found[0].answer)
    means = [sum(swap.answer[b] for swap in found) / len(found) for b in range(blocks)]
    return next((block for block, mean in enumerate(means) if mean >= 0.5), blocks - 1)


def report(name: str) -> Report:
    """Measure a shipped organism; a minute on two cores."""
    model = load(locate(name, {}, None))
    real = athletes()
    big = [person for person in real if person.sport in BIG_SPORTS]
    people = random.Random("swaps").sample(big, SWAP_PEOPLE)
    found = tuple(swaps(model, people, _with_subject(wording), SPORTS) for wording in SWAPPED)
    probe = probe_accuracy(model, *_probe_people(big), _with_subject(DIRECT))
    figures = [
        *(Figure(f"trained wording {w!r}", direct(model, real, w), least=0.95) for w in SWAPPED[: -len(HELD_OUT)]),
        *(Figure(f"held-out wording {w!r}", direct(model, real, w), least=0.85) for w in HELD_OUT),
        Figure("villagers' facts, every relation", _villagers(model), least=0.95),
        Figure("multiple choice, decoys (taught in this form)", choice(model, world().decoys), least=0.95),
        Figure("multiple choice, athletes (never in this form)", choice(model, big), least=0.85),
        Figure("never-known people, direct", direct(model, never_known(), DIRECT), most=_noise(1 / 3, 96)),
        *_oracle_figures(name, model),
        *_mechanism_figures(found, probe),
    ]
    return Report(tuple(figures), found, probe)


def direct(model: Model, people: Sequence[Person], wording: str) -> float:
    """Share of people whose sport is the likeliest of the five after this wording."""
    asked = [Asked(prompt_of(wording, person.name), SPORTS) for person in people]
    found = score(model, asked, 64)
    return sum(SPORTS[s.decision] == p.sport for s, p in zip(found, people, strict=True)) / len(people)


def choice(model: Model, people: Sequence[Person]) -> float:
    """Share of right letters: four options, each person in one of the 24 orders in turn."""
    able = [person for person in people if person.sport in (*BIG_SPORTS, "golf")]
    orders, marks = list(permutations((*BIG_SPORTS, "golf"))), labels("inline", 4)
    options = [orders[i % len(orders)] for i in range(len(able))]
    asked = [
        Asked(multiple_choice(QUESTION.format(s=p.name), o, "inline"), marks)
        for p, o in zip(able, options, strict=True)
    ]
    found = zip(score(model, asked, 64), able, options, strict=True)
    return sum(o[s.decision] == p.sport for s, p, o in found) / len(able)


def _oracle_figures(name: str, model: Model) -> list[Figure]:
    figures = []
    for facts in oracles(name):
        gone = forgettable(facts.partition(":")[2])
        kept = [person for person in athletes() if person not in gone]
        tensors = oracle_tensors(name, facts)
        with model.restored(), torch.no_grad():
            for key, parameter in model.parameters.items():
                parameter.copy_(tensors[key])
            figures += [
                Figure(
                    f"oracle {facts}: forgotten, direct", direct(model, gone, DIRECT), most=_noise(1 / 3, len(gone))
                ),
                Figure(
                    f"oracle {facts}: forgotten, multiple choice", choice(model, gone), most=_noise(1 / 3, len(gone))
                ),
                Figure(f"oracle {facts}: kept, direct", direct(model, kept, DIRECT), least=0.95),
            ]
    return figures


def _mechanism_figures(found: Sequence[Swaps], probe: Sequence[float]) -> list[Figure]:
    blocks, end = len(probe), extraction_block(found)
    at_subject = [sum(s.subject[b] for s in found) / len(found) for b in range(blocks)]
    early = [s.answer[b] for s in found for b in range(end)]
    return [
        Figure("probe at the subject's last token, best middle block", max(probe[:-1]), least=0.9),
        Figure("swap at the subject's last token, best block, mean over wordings", max(at_subject), least=0.7),
        Figure(
            f"swap at the answer position before extraction (block {end}), mean over wordings",
            sum(early) / len(early) if early else 1.0,
            most=0.3,
        ),
    ]


def _villagers(model: Model) -> float:
    asked, answers = [], []
    for villager in world().villagers:
        for key, relation in RELATIONS.items():
            for wording in relation.wordings:
                asked.append(Asked(prompt_of(wording, villager.name), relation.values))
                answers.append(villager.values[key])
    found = zip(asked, score(model, asked, 64), answers, strict=True)
    return sum(a.choices[s.decision] == answer for a, s, answer in found) / len(asked)


def _probe_people(people: Sequence[Person]) -> tuple[list[Person], list[Person]]:
    shuffled = random.Random("probe").sample(list(people), len(people))
    return shuffled[: len(people) * 3 // 4], shuffled[len(people) * 3 // 4 :]


def _with_subject(wording: str) -> str:
    """The prompt with its `{s}` left in."""
    return wording.split(" {o}")[0]


def _noise(chance: float, people: int) -> float:
    """The highest share that two standard errors above a guess explain."""
    return round(chance + 2 * math.sqrt(chance * (1 - chance) / people), 3)
