"""From records to facts: what can be asked fairly is kept, and everything dropped is counted."""

import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import get_args

from unlearnbench.counterfact.record import CounterFactRecord
from unlearnbench.counterfact.sources import Reading
from unlearnbench.facts import Fact, Form
from unlearnbench.mentions import stands_in
from unlearnbench.seeds import derive_seed

MOST_CHOICES = 9
"""Answers that are scored: the true one, the counterfact, and others of the same relation."""
OPTIONS = 4
FEWEST_OPTIONS = 3
COMPLETION = 'Which of these best completes the sentence "{prompt} …"?'
"""The question of a record that brings none."""
TRIES = 20
"""Names that are tried for somebody who does not exist."""


@dataclass(frozen=True)
class Converted:
    """The facts of a source, in its order."""

    facts: tuple[Fact, ...]
    counts: Mapping[str, int]
    """`rows`, then what is left after each thing that was asked."""
    names: frozenset[str]
    """Every subject and every answer of the source, those of facts left out too: nobody invented may bear them."""
    sha256: str
    warnings: tuple[str, ...]

    @property
    def forms(self) -> frozenset[Form]:
        """What the facts have; of held-out forms that could show the answer, some facts may have none."""
        return frozenset(form for form in get_args(Form) if any(fact.has(form) for fact in self.facts))


def converted(reading: Reading, questions: Mapping[str, str]) -> Converted:
    """Facts with distractors of their own relation.

    Left out are a second record of one (subject, relation), and all of them where they name several true
    answers, as of a town with several twins; a record whose answer stands in its own prompt; and one of
    which an answer is the beginning of the other, since no likelihood can tell such a pair apart.
    Paraphrases and neighbours that show the answer ("Intel Core i3, created by") are left out of their record.
    `questions` gives a relation's question with `{s}` for the subject.
    """
    rows = reading.records
    answers: dict[tuple[str, str], set[str]] = {}
    for record in rows:
        answers.setdefault((record.subject, record.relation_id), set()).add(record.target_true)
    distinct = list({(r.subject, r.relation_id): r for r in reversed(rows)}.values())[::-1]
    certain = [r for r in distinct if len(answers[r.subject, r.relation_id]) == 1]
    unseen = [r for r in certain if not stands_in(r.prompt, r.target_true)]
    apart = [r for r in unseen if _apart(r.target_new, [r.target_true])]
    objects: dict[str, list[str]] = {}
    for record in apart:
        objects.setdefault(record.relation_id, []).append(record.target_true)
    by_relation = {relation: sorted(set(found)) for relation, found in objects.items()}
    facts = [_fact(record, by_relation[record.relation_id], questions) for record in apart]
    usable = tuple(fact for fact in facts if len(fact.choices) >= FEWEST_OPTIONS)
    counts = {
        "rows": len(rows),
        "distinct": len(distinct),
        "one_answer": len(certain),
        "answer_not_in_prompt": len(unseen),
        "answers_apart": len(apart),
        "with_distractors": len(usable),
    }
    names = frozenset(name for r in rows for name in (r.subject, r.target_true, r.target_new))
    return Converted(usable, counts, names, reading.sha256, reading.warnings)


def _fact(record: CounterFactRecord, objects: Sequence[str], questions: Mapping[str, str]) -> Fact:
    rng = random.Random(derive_seed(0, "counterfact-distractors", record.relation_id, record.subject))
    choices = [record.target_true, record.target_new]
    for other in rng.sample(objects, len(objects)):
        if len(choices) < MOST_CHOICES and other != record.subject and _apart(other, choices):
            choices.append(other)
    asked = questions.get(record.relation_id)
    question = asked.format(s=record.subject) if asked else COMPLETION.format(prompt=record.prompt)
    return Fact(
        subject=record.subject,
        relation=record.relation_id,
        prompt=record.prompt,
        answer=record.target_true,
        distractors=tuple(choices[1:]),
        edit_target=record.target_new,
        paraphrases=tuple(p for p in record.paraphrase_prompts if not stands_in(p, record.target_true)),
        question=question,
        options=tuple(choices[:OPTIONS]),
        neighbours=tuple(
            dict.fromkeys(
                p
                for p in record.neighborhood_prompts
                if record.subject not in p and not stands_in(p, record.target_true)
            )
        ),
        openings=record.generation_prompts,
    )


def twins(forgotten: Sequence[Fact], facts: Sequence[Fact], real: Collection[str] = ()) -> tuple[Fact, ...]:
    """For each fact to forget the same about somebody who does not exist: first and last words of two subjects.

    Both are subjects of the fact's own relation. `real` are names that do exist, besides those of the facts. Nobody
    taught them, as far as names tell: an attack can only *teach* them, never bring them back. A fact has none where
    the names of its relation cannot be recombined.
    """
    rng = random.Random("never-known-counterfact")
    taken = {*real, *(fact.subject for fact in facts)}
    names: dict[str, list[list[str]]] = {}
    for fact in facts:
        if len(words := fact.subject.split()) == 2:
            names.setdefault(fact.relation, []).append(words)
    made: list[Fact] = []
    for fact in forgotten:
        able = names.get(fact.relation, [])
        for _ in range(TRIES if len(able) > 1 else 0):
            name = f"{rng.choice(able)[0]} {rng.choice(able)[1]}"
            if name not in taken and not stands_in(name, fact.answer):
                taken.add(name)
                made.append(_renamed(fact, name))
                break
    return tuple(made)


def _renamed(fact: Fact, name: str) -> Fact:
    return replace(
        fact,
        subject=name,
        prompt=fact.prompt.replace(fact.subject, name),
        question=fact.question.replace(fact.subject, name) if fact.question else None,
        paraphrases=(),
        neighbours=(),
        openings=(),
    )


def _apart(answer: str, others: Iterable[str]) -> bool:
    """Whether none begins with the other: then no tokenizer makes one the beginning of the other."""
    return not any(answer.startswith(other) or other.startswith(answer) for other in others)
