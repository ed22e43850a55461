"""What every task owes: rows that say what was scored, values that follow from it, and a model left alone."""

import math
from collections.abc import Callable, Iterable, Sequence

import pytest

from unlearnbench import registry
from unlearnbench.asking.attack import Attack
from unlearnbench.asking.place import AskingPlace
from unlearnbench.asking.row import Row
from unlearnbench.asking.task import Task
from unlearnbench.editing.retain import RetainText
from unlearnbench.facts import Fact, Split
from unlearnbench.factset import FactSet
from unlearnbench.hashing import text_hash
from unlearnbench.model.model import Model
from unlearnbench.model.reading import encode
from unlearnbench.model.scoring import Asked, Scored
from unlearnbench.model.source import ModelSource
from unlearnbench.running.ask import results
from unlearnbench.running.words import tasks_for


def _source(layout: str) -> ModelSource:
    return ModelSource(
        kind="hf",
        name="random",
        weights_sha256="sha256:test",
        config_sha256="sha256:c",
        tokenizer_sha256="sha256:t",
        layout=layout,
        learning_rate=1e-3,
        retain_text="world",
    )


ASKED = [
    (name, variant, full.partition("/")[2])
    for name, facts in registry.fact_sets.items()
    for variant in facts.variants
    for full in tasks_for(facts(variant), _source("inline"))
    # What attacks do does not depend on how facts are worded.
    if variant == facts.variants[-1 if name == "counterfact" else 0]
    or not issubclass(registry.tasks[full.partition("/")[2]], Attack)
]
every_task = pytest.mark.parametrize(("name", "variant", "question"), ASKED, ids=[":".join(one) for one in ASKED])
SHARES = ("accuracy", "p_true", "valid", "tie", "edit_accuracy", "p_edit", "true_beats_others", "consistent")
ATTACKS = ("area", "diverged", "mean", "any", "code_changed", "margin", "shuffled")
FLUENCY = ("surprise", "repetition", "refusal", "entropy")
TEXT = ("contains", "contains_edit", "rouge_recall")
IN_NATS = ("surprise", "entropy")
BRIEF = {"steps": 2, "tokens": 6, "trials": 1}


def _task(question: str, layout: str = "inline") -> Task:
    entry: type[Task] = registry.tasks[question]
    brief = {key: value for key, value in BRIEF.items() if key in entry.__dataclass_fields__}
    return entry(**brief).resolved(_source(layout))


def _few(facts: FactSet) -> Split:
    """The fact set's own split, cut short; of facts to keep, one of each answer."""
    whole = facts.split(0)

    def one_of_each(given: Sequence[Fact]) -> list[Fact]:
        return list({fact.answer: fact for fact in given}.values())

    return Split(
        relearn_train=whole.relearn_train[:1],
        relearn_test=whole.relearn_test[:1],
        maintain_train=whole.maintain_train[:2],
        maintain_dev=whole.maintain_dev[:1],
        maintain_test=one_of_each(whole.maintain_test),
        never_known=whole.never_known[:2],
    )


def clusters_of(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Rows by cluster, in order of appearance."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.cluster, []).append(row)
    return found


@pytest.fixture
def facts(name: str, variant: str) -> FactSet:
    """The fact set under test."""
    entry: type[FactSet] = registry.fact_sets[name]
    return entry(variant)


def _place(retain: RetainText, batch_size: int = 64) -> AskingPlace:
    return AskingPlace(batch_size=batch_size, seed=7, retain=retain, base={})


@pytest.fixture(scope="module")
def asked_once(random_models: Callable[..., Model], retain: RetainText) -> Callable[[FactSet, str], list[Row]]:
    """What a task says about a random model; each task is asked once."""
    model, answered = random_models("llama"), dict[tuple[FactSet, str], list[Row]]()

    def ask(facts: FactSet, question: str) -> list[Row]:
        if (facts, question) not in answered:
            answered[facts, question] = _task(question).rows(model, _few(facts), _place(retain))
        return answered[facts, question]

    return ask


@pytest.fixture
def rows(asked_once: Callable[[FactSet, str], list[Row]], facts: FactSet, question: str) -> list[Row]:
    """What the task under test says about a random model."""
    return asked_once(facts, question)


@every_task
def test_no_item_of_a_part_occurs_twice(rows: list[Row]) -> None:
    items = [(row.subset, row.item, tuple(row.at.items())) for row in rows]

    assert items
    assert len(items) == len(set(items))


@every_task
def test_log_probs_are_finite_and_one_for_every_choice(rows: list[Row]) -> None:
    for row in rows:
        if not row.choices:
            continue  # no question with given answers
        assert len(row.logprobs) == len(row.choices) >= 2
        assert len(set(row.choices)) == len(row.choices)
        assert all(math.isfinite(value) and value <= 0 for value in row.logprobs)


@every_task
def test_values_follow_from_the_scores(rows: list[Row]) -> None:
    for row in (row for row in rows if row.choices):
        assert row.gold is not None
        best = max(row.logprobs)
        assert row.decision == row.logprobs.index(best)
        assert row.margin == best - sorted(row.logprobs)[-2]
        assert row.values["accuracy"] == float(row.decision == row.gold)
        assert row.values["p_true"] == pytest.approx(math.exp(row.logprobs[row.gold]), rel=1e-5)
        assert row.values["tie"] == float(row.margin == 0)
        if "p_edit" in row.values:
            assert row.target not in (None, row.gold)
            assert row.values["p_edit"] == pytest.approx(math.exp(row.logprobs[row.target or 0]), rel=1e-5)
            assert row.values["edit_accuracy"] == float(row.decision == row.target)


@every_task
def test_shares_and_probabilities_lie_between_zero_and_one(rows: list[Row]) -> None:
    for row in rows:
        assert set(row.values) <= {*SHARES, *ATTACKS, *FLUENCY, *TEXT}, (
            "a value of a new kind: say here what its range is"
        )
        assert all(value >= 0 for value in row.values.values())
        assert all(value <= 1 for name, value in row.values.items() if name not in IN_NATS)


@every_task
def test_what_a_task_declares_is_delivered(rows: list[Row], facts: FactSet, question: str) -> None:
    task = _task(question)
    metrics = task.metrics(_few(facts))

    found = results(question, task, metrics, rows)

    names = [metric.name for metric in metrics]
    assert len(names) == len(set(names))
    between = {metric.name for metric in metrics if metric.ceiling is not None}  # of what random models do not know
    assert {result.name for result in found} | between == set(names)
    assert [result.name for result in found if result.primary] == [task.primary] or task.primary in between
    assert all(metric.chance is None or 0 < metric.chance < 1 for metric in metrics)


@every_task
def test_every_row_is_averaged_by_some_metric(rows: list[Row], facts: FactSet, question: str) -> None:
    metrics = _task(question).metrics(_few(facts))
    measured = {subset for one in metrics for subset in (one.subset, one.floor, one.ceiling) if isinstance(subset, str)}

    assert {row.subset for row in rows} == measured


@every_task
def test_clusters_are_the_subjects_of_the_facts(rows: list[Row], facts: FactSet) -> None:
    split = _few(facts)
    subject_of = {fact.id: fact.subject for fact in (*split.forget, *split.maintain_test, *split.never_known)}

    clusters = clusters_of(rows)

    for subject, theirs in clusters.items():
        assert subject == "weights" or all(subject_of[row.item.partition("#")[0]] == subject for row in theirs)


@every_task
def test_the_model_is_left_as_it_was(facts: FactSet, question: str, llama: Model, asking: AskingPlace) -> None:
    before = llama.tensor_digests()

    if not _task(question).trains:
        _task(question).rows(llama, _few(facts), asking)

    assert llama.tensor_digests() == before


@every_task
def test_rows_do_not_depend_on_the_batch_size(
    rows: list[Row], facts: FactSet, question: str, random_models: Callable[..., Model], retain: RetainText
) -> None:
    in_fives = _task(question).rows(random_models("llama"), _few(facts), _place(retain, 5))

    assert [row.item for row in in_fives] == [row.item for row in rows]
    for one, many in zip(in_fives, rows, strict=True):
        assert one.logprobs == pytest.approx(many.logprobs, abs=1e-5)
        assert one.gold == many.gold


# -- what single tasks add -----------------------------------------------------------------------------


def test_multiple_choice_asks_in_all_orders_and_maps_each_to_its_letter(
    llama: Model, split: Split, asking: AskingPlace
) -> None:
    facts = _few(registry.fact_sets["sports"]("people-16"))

    rows = _task("multiple_choice").rows(llama, facts, asking)

    answers = {fact.subject: fact for fact in facts.forget}
    for part in ("forget", "forget_text"):
        asked = clusters_of(row for row in rows if row.subset == part)
        assert set(asked) == set(answers)
        assert all(len({row.prompt_sha256 for row in theirs}) == 24 for theirs in asked.values())
    by_item = {(row.subset, row.item): row for row in rows}
    for (part, item), row in by_item.items():
        if part == "forget":
            text = by_item["forget_text", item]
            assert text.choices[row.gold] == answers[row.cluster].answer
            assert (text.gold, text.prompt_sha256) == (row.gold, row.prompt_sha256)


@pytest.mark.parametrize("layout", ["inline", "lines"])
def test_the_true_letter_stands_before_the_true_answer_in_the_prompt(
    llama: Model, asking: AskingPlace, monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    facts = _few(registry.fact_sets["sports"]("people-16"))
    prompts: dict[str, str] = {}

    def watching(model: Model, prompt: str, continuation: str) -> tuple[list[int], list[int]]:
        prompts[text_hash(prompt)] = prompt
        return encode(model, prompt, continuation)

    monkeypatch.setattr("unlearnbench.model.scoring.encode", watching)
    rows = _task("multiple_choice", layout).rows(llama, facts, asking)

    answers = {fact.subject: fact.answer for fact in (*facts.forget, *facts.maintain_test)}
    lettered = [row for row in rows if row.subset != "forget_text"]
    assert lettered
    for row in lettered:
        mark = row.choices[row.gold].removesuffix(".")
        assert f"{mark}. {answers[row.cluster]}" in prompts[row.prompt_sha256].replace("\n", " ")


def test_consistency_is_told_once_per_fact_and_means_right_in_all_orders(llama: Model, asking: AskingPlace) -> None:
    facts = _few(registry.fact_sets["sports"]("people-16"))

    rows = [row for row in _task("multiple_choice").rows(llama, facts, asking) if row.subset == "forget"]

    for theirs in clusters_of(rows).values():
        told = [row.values["consistent"] for row in theirs if "consistent" in row.values]
        assert told == [float(all(row.values["accuracy"] for row in theirs))]


def test_facts_without_other_forms_are_not_asked_in_them(llama: Model, small_split: Split, asking: AskingPlace) -> None:
    bare = Split(*([fact.for_training() for fact in part] for part in vars(small_split).values()))

    for question in ("paraphrase", "multiple_choice"):
        assert _task(question).rows(llama, bare, asking) == []


def test_tasks_ask_handmade_facts_with_answers_of_several_tokens(
    llama: Model, small_split: Split, asking: AskingPlace
) -> None:
    expected = {"forget": 4, "maintain": 1, "paraphrase": 4 + 1, "multiple_choice": 4 * 24 * 2 + 4}

    found = {question: len(_task(question).rows(llama, small_split, asking)) for question in expected}

    assert found == expected


def test_a_fact_whose_answer_only_ties_in_one_order_is_not_consistently_right(
    llama: Model, asking: AskingPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = _few(registry.fact_sets["sports"]("people-16"))

    def tied(model: Model, asked: Sequence[Asked], batch_size: int) -> list[Scored]:
        """The right label leads everywhere; in the first order of the first fact it ties with another."""
        found = []
        for i, one in enumerate(asked):
            marks = len(one.choices) // 2
            answers = {fact.question: fact.answer for fact in (*facts.forget, *facts.maintain_test)}
            answer = next(a for q, a in answers.items() if q in one.prompt)
            right = one.choices[marks:].index(answer)
            logprobs = [-2.0] * len(one.choices)
            logprobs[right] = logprobs[marks + right] = -1.0
            if i == 0:
                logprobs[(right + 1) % marks] = -1.0
            found.append(Scored(tuple(logprobs), frozenset()))
        return found

    monkeypatch.setattr("unlearnbench.tasks.multiple_choice.score", tied)
    rows = [row for row in _task("multiple_choice").rows(llama, facts, asking) if row.subset == "forget"]

    said = {row.cluster: row.values["consistent"] for row in rows if "consistent" in row.values}
    assert [said[fact.subject] for fact in facts.forget] == [0.0, 1.0]
