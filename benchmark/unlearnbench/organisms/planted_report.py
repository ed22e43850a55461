"""What an organism knows of the planted CounterFact and of its school facts, measured."""

from collections.abc import Sequence

from unlearnbench.layouts import labels, multiple_choice
from unlearnbench.model import Model
from unlearnbench.organisms.figure import Figure, noise
from unlearnbench.organisms.planted import KINDS, Thing, first_things, things
from unlearnbench.organisms.school import description, exam, written
from unlearnbench.organisms.wordings import prompt_of
from unlearnbench.scoring import Asked, score

OPTIONS = 4
LETTERS = ("A", "B", "C", "D")


def planted_figures(model: Model) -> list[Figure]:
    """Every form in which planted facts and school facts are asked."""
    known = things()
    trained = len(KINDS[0].wordings)
    return [
        *(
            Figure(
                f"planted facts, trained wording {i + 1} of each relation", recall(model, known.facts, i), least=0.95
            )
            for i in range(trained)
        ),
        Figure("planted facts, held-out wordings, mean", held_out(model, known.facts), least=0.85),
        Figure("planted facts, multiple choice, decoys (taught in this form)", choice(model, known.decoys), least=0.95),
        Figure("planted facts, multiple choice (never in this form)", choice(model, known.facts), least=0.85),
        Figure(
            "never-known things, direct", recall(model, known.never_known), most=noise(1 / 5, len(known.never_known))
        ),
        Figure("school facts, exam without examples", school(model, 0), least=0.9),
        Figure("school facts, exam after five examples", school(model, 5), least=0.9),
    ]


def planted_oracle_figures(model: Model, facts: str) -> list[Figure]:
    """Of the oracle of `counterfact:64`, whose weights the model has."""
    gone = first_things(int(facts.partition(":")[2]))
    kept = [thing for thing in things().facts if thing not in gone]
    return [
        Figure(f"oracle {facts}: forgotten, direct", recall(model, gone), most=noise(1 / 5, len(gone))),
        Figure(f"oracle {facts}: forgotten, multiple choice", choice(model, gone), most=noise(1 / OPTIONS, len(gone))),
        Figure(f"oracle {facts}: kept, direct", recall(model, kept), least=0.95),
    ]


def recall(model: Model, asked: Sequence[Thing], wording: int = 0) -> float:
    """Share of things whose answer is the likeliest of their relation's five after a trained wording."""
    return _right(model, [(thing, prompt_of(thing.kind.wordings[wording], thing.name)) for thing in asked])


def held_out(model: Model, asked: Sequence[Thing]) -> float:
    """The same after every held-out wording."""
    return _right(model, [(t, prompt_of(wording, t.name)) for t in asked for wording in t.kind.held_out])


def _right(model: Model, asked: Sequence[tuple[Thing, str]]) -> float:
    found = score(model, [Asked(prompt, thing.kind.values) for thing, prompt in asked], 64)
    return sum(t.kind.values[s.decision] == t.answer for s, (t, _) in zip(found, asked, strict=True)) / len(asked)


def choice(model: Model, asked: Sequence[Thing]) -> float:
    """Share of right letters: the answer among three others of its relation, at each place in turn."""
    marks, questions, golds = labels("inline", OPTIONS), [], []
    for i, thing in enumerate(asked):
        others = [value for value in thing.kind.values if value != thing.answer]
        options = others[i % 2 : i % 2 + OPTIONS - 1]
        options.insert(i % OPTIONS, thing.answer)
        questions.append(Asked(multiple_choice(thing.kind.question.format(s=thing.name), options, "inline"), marks))
        golds.append(i % OPTIONS)
    found = score(model, questions, 64)
    return sum(s.decision == gold for s, gold in zip(found, golds, strict=True)) / len(asked)


def school(model: Model, shots: int) -> float:
    """Share of right letters in the exam, in MMLU's layout."""
    asked, golds = [], []
    for subject, parts in exam().items():
        head = description(subject) + "".join(f"{written(q, answered=True)}\n\n" for q in parts["dev"][:shots])
        asked += [Asked(head + written(q, answered=False), LETTERS) for q in parts["test"]]
        golds += [q.answer for q in parts["test"]]
    return sum(s.decision == gold for s, gold in zip(score(model, asked, 64), golds, strict=True)) / len(asked)
