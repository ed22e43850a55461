"""Single facts of many kinds about invented people, each with a counterfact, in the form of CounterFact.

Meng et al. (2022, arXiv 2202.05262). Known to the organisms. What is forgotten is one fact each of so many people;
their other facts are kept, and are its nearest neighbours.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from unlearnbench.errors import UsageError
from unlearnbench.facts import Fact, FactSet, Form, Split
from unlearnbench.registry import register
from unlearnbench.seeds import derive_seed
from unlearnbench.strata import cut, other_answers
from unlearnbench.world.forgotten import forgettable_relations
from unlearnbench.world.villagers import RELATIONS, villagers
from unlearnbench.world.wordings import prompt_of


@register("counterfact")
@dataclass(frozen=True)
class CounterFact(FactSet):
    """Facts of eight relations; an edit turns each into another value of its relation."""

    version: ClassVar[int] = 1
    variants: ClassVar[tuple[str, ...]] = ("64", "16")
    forms: ClassVar[frozenset[Form]] = frozenset({"edit_target", "paraphrases", "question"})

    def split(self, seed: int) -> Split:
        """T and V halve the forgotten by relation; of the others 70 % train, 10 % dev, 20 % test."""
        if self.facts_file is not None:
            raise UsageError("counterfact reads no file of facts", "leave --facts_file out")
        everyone = villagers()
        chosen = [(v.name, key, v.values[key]) for v, key in forgettable_relations(int(self.variant), everyone)]
        gone = {(name, key) for name, key, _ in chosen}
        others = [
            _fact(v.name, key, value, None)
            for v in everyone
            for key, value in v.values.items()
            if (v.name, key) not in gone
        ]
        relearn_train, relearn_test = cut(
            _to_forget(chosen, seed), lambda f: f.relation, (0.5, 0.5), _rng(seed, "forget")
        )
        train, dev, test = cut(others, lambda f: (f.relation, f.answer), (0.7, 0.1, 0.2), _rng(seed, "maintain"))
        never = _to_forget(_never_known(chosen), derive_seed(seed, "never-known"))
        return Split(relearn_train, relearn_test, train, dev, test, never)


def _never_known(forgotten: Sequence[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """As many relations nobody ever wrote about, of other people who are well known, with the same answers."""
    rng, taken, found = random.Random("never-known-relations"), {name for name, _, _ in forgotten}, []
    for _, key, value in forgotten:
        able = [v.name for v in villagers() if key not in v.values and v.name not in taken]
        name = rng.choice(able)
        taken.add(name)
        found.append((name, key, value))
    return found


def _to_forget(chosen: Sequence[tuple[str, str, str]], seed: int) -> list[Fact]:
    """With edit targets: another value of the relation, every value in equal numbers."""
    found = []
    for key, relation in RELATIONS.items():
        mine = [(name, value) for name, k, value in chosen if k == key]
        targets = other_answers([value for _, value in mine], relation.values, _rng(seed, "edit-target", key))
        found += [_fact(name, key, value, target) for (name, value), target in zip(mine, targets, strict=True)]
    return found


def _fact(name: str, key: str, value: str, target: str | None) -> Fact:
    relation = RELATIONS[key]
    return Fact(
        subject=name,
        relation=key,
        prompt=prompt_of(relation.wordings[0], name),
        answer=value,
        distractors=tuple(other for other in relation.values if other != value),
        edit_target=target,
        paraphrases=tuple(prompt_of(wording, name) for wording in relation.held_out),
        question=relation.question.format(s=name),
        options=relation.values,
    )


def _rng(seed: int, *purpose: str) -> random.Random:
    return random.Random(derive_seed(seed, "counterfact", *purpose))
