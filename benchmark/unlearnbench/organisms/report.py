"""What an organism must be able to do, measured: every format, the references, and the mechanism by component."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

from unlearnbench.model.loading import load, oracle_tensors
from unlearnbench.model.model import Model
from unlearnbench.model.shipped import oracles
from unlearnbench.model.source import locate
from unlearnbench.organisms.figure import Figure, noise
from unlearnbench.organisms.knowledge import Told, chosen, exam, said, told, told_choice
from unlearnbench.organisms.mechanism import Swaps, kept_alone, silenced, swaps
from unlearnbench.world.forgotten import forgettable, forgettable_relations, forgotten_facts
from unlearnbench.world.people import SPORTS, Person, never_known
from unlearnbench.world.questions import FORGOTTEN
from unlearnbench.world.wordings import DIRECT, HELD_OUT, TRAINED
from unlearnbench.world.world import world

ANSWER_LAST = tuple(wording for wording in TRAINED if wording.endswith("{o}"))
SWAP_PEOPLE = 120
CHANCE, CHANCE_OF_RELATIONS = 1 / len(SPORTS), 1 / 8
MARGIN = 0.1


@dataclass(frozen=True)
class Report:
    """All figures of an organism, and what stands behind the mechanism's."""

    figures: tuple[Figure, ...]
    silenced: Mapping[str, float]
    """Share of sports still right with these components silent."""
    swaps: tuple[Swaps, ...] = ()


@dataclass(frozen=True)
class Known:
    """Whom an organism was told about, by what becomes of them."""

    forgotten: Sequence[Person] = field(default_factory=lambda: forgettable(f"people-{FORGOTTEN}", world().people))

    @cached_property
    def kept(self) -> list[Person]:
        """People who are never forgotten."""
        return [person for person in world().people if person not in set(self.forgotten)]

    @cached_property
    def forgotten_relations(self) -> list[Told]:
        """The relations of `counterfact:64`."""
        return [(v.name, key, v.values[key]) for v, key in forgettable_relations(FORGOTTEN, world().villagers)]

    @cached_property
    def kept_relations(self) -> list[Told]:
        """All others."""
        every = [(name, key, value) for name, values in world().villagers for key, value in values.items()]
        return [one for one in every if one not in set(self.forgotten_relations)]


def report(name: str) -> Report:
    """Measure a shipped organism that was pretrained on the whole world; two minutes on two cores."""
    model, known = load(locate(name, {}, None)), Known()
    everyone = world().people
    parts = silenced_parts(model, known.kept[:200])
    held_out = [said(model, known.kept, wording) for wording in HELD_OUT]
    figures = [
        *(Figure(f"trained wording {w!r}", said(model, everyone, w), least=0.95) for w in ANSWER_LAST),
        *(Figure(f"held-out wording {w!r}", share) for w, share in zip(HELD_OUT, held_out, strict=True)),
        Figure("held-out wordings, mean", sum(held_out) / len(held_out), least=0.85),
        Figure("multiple choice, people taught in this form", chosen(model, known.kept), least=0.95),
        Figure("multiple choice, people never asked in this form", chosen(model, known.forgotten), least=0.85),
        *relation_figures(model, known),
        Figure("school facts, multiple choice", exam(model, world().lessons), least=0.9),
        *unknown_figures("never-known", model, never_known()[: len(known.forgotten)]),
        *_oracle_figures(name, model, known),
        *_look_up_figures(parts),
    ]
    people = random.Random("swaps").sample(known.kept, SWAP_PEOPLE)
    found = tuple(swaps(model, people, w.split(" {o}")[0], SPORTS) for w in (*ANSWER_LAST, *HELD_OUT))
    return Report((*figures, *_swap_figures(found)), parts, found)


def relation_figures(model: Model, known: Known) -> list[Figure]:
    """Villagers' facts: trained and held-out wordings, and multiple choice."""
    every = [*known.kept_relations, *known.forgotten_relations]
    return [
        Figure("relations, trained wordings", told(model, every), least=0.95),
        Figure("relations, held-out wordings", told(model, every, held_out=True), least=0.85),
        Figure("relations, multiple choice, taught in this form", told_choice(model, known.kept_relations), least=0.9),
        Figure(
            "relations, multiple choice, never asked in this form",
            told_choice(model, known.forgotten_relations),
            least=0.85,
        ),
    ]


def unknown_figures(whose: str, model: Model, people: Sequence[Person]) -> list[Figure]:
    """People a model was not told about: a guess, in both forms."""
    return [
        Figure(f"{whose} people, direct", said(model, people, DIRECT), most=noise(CHANCE, len(people))),
        Figure(f"{whose} people, multiple choice", chosen(model, people), most=noise(1 / 4, len(people))),
    ]


def _oracle_figures(name: str, model: Model, known: Known) -> list[Figure]:
    figures = []
    for facts in oracles(name):
        with model.restored():
            model.write({key: tensor for key, tensor in oracle_tensors(name, facts).items() if key in model.parameters})
            if facts.startswith("sports"):
                figures += unknown_figures(f"oracle {facts}: forgotten", model, known.forgotten)
                figures.append(Figure(f"oracle {facts}: kept", said(model, known.kept, DIRECT), least=0.95))
            else:
                # Three of a person's facts are known, and the values of one relation are eight others.
                most = noise(CHANCE_OF_RELATIONS, len(forgotten_facts(facts)))
                share = told(model, known.forgotten_relations)
                figures.append(Figure(f"oracle {facts}: forgotten", share, most=most))
                figures.append(Figure(f"oracle {facts}: kept", told(model, known.kept_relations), least=0.95))
    return figures


def silenced_parts(model: Model, people: Sequence[Person]) -> dict[str, float]:
    """Share of sports right with each component silent, with neighbouring MLPs silent, and with these alone."""
    names, found = list(model.components), dict[str, float]()
    mlps = [name for name in names if name.startswith("mlp.")]
    for parts in [*((name,) for name in names), *pairwise(mlps), tuple(mlps)]:
        with silenced(model, parts):
            found[" + ".join(parts) if parts != tuple(mlps) else "all MLPs"] = said(model, people, DIRECT)
    for parts in [*((name,) for name in mlps), *pairwise(mlps)]:
        with kept_alone(model, parts):
            found[f"all MLPs but {' + '.join(parts)}"] = said(model, people, DIRECT)
    return found


def looked_up_in(parts: Mapping[str, float]) -> str:
    """The MLP, or the two neighbours, without which least is known."""
    able = {name: share for name, share in parts.items() if name.startswith("mlp.")}
    return min(able, key=lambda name: able[name])


def _look_up_figures(parts: Mapping[str, float]) -> list[Figure]:
    where = looked_up_in(parts)
    return [
        Figure("all MLPs silent", parts["all MLPs"], most=CHANCE + MARGIN),
        Figure(f"the look-up, {where}, silent", parts[where], most=CHANCE + MARGIN),
        Figure(f"the look-up, {where}, alone of all MLPs", parts[f"all MLPs but {where}"], least=0.8),
    ]


def _swap_figures(found: Sequence[Swaps]) -> list[Figure]:
    def mean(at: str, name: str) -> float:
        shares = [one.subject if at == "subject" else one.answer for one in found]
        return sum(share[name] for share in shares) / len(found)

    mlps = [name for name in found[0].subject if name.startswith("mlp.")]
    best = max(mlps, key=lambda name: mean("subject", name))
    worst = max(mlps, key=lambda name: mean("answer", name))
    return [
        Figure(f"swapping {best} at the subject, mean over wordings", mean("subject", best)),
        Figure(f"swapping {worst} at the answer, mean over wordings", mean("answer", worst)),
    ]
