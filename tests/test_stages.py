"""Facts that are forgotten a quarter at a time, and facts that a model has to know before any is forgotten."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from unlearnbench.editing.localization import Localization
from unlearnbench.editing.method import History, Method
from unlearnbench.editing.place import EditingPlace
from unlearnbench.errors import Diverged
from unlearnbench.facts import Fact, Split, TrainingSplit
from unlearnbench.model.model import Model
from unlearnbench.model.scoring import Scored
from unlearnbench.model.source import Located
from unlearnbench.running import knowledge
from unlearnbench.running.edit import _edited
from unlearnbench.running.knowledge import informed
from unlearnbench.tasks.facts.counterfact import CounterFact


@dataclass(frozen=True, kw_only=True)
class Noting(Method):
    """Writes down what it is told to forget, and does nothing."""

    until: int = 99

    def localize(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Localization:
        return Localization.nowhere()

    def edit(self, model: Model, split: TrainingSplit, where: Localization, place: EditingPlace) -> History:
        SEEN.append(([fact.id for fact in split.forget], place.seed))
        if len(SEEN) > self.until:
            raise Diverged("too much", [{"step": 1}])
        return [{"step": 1}]


SEEN: list[tuple[list[str], int]] = []


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    SEEN.clear()


def _staged(split: Split) -> TrainingSplit:
    ids = [fact.id for fact in split.forget]
    return replace(split, stages=[frozenset(ids[:1]), frozenset(ids[1:])]).for_methods()


def test_stages_are_edited_one_after_another_each_with_randomness_of_its_own(
    llama: Model, small_split: Split, place: EditingPlace
) -> None:
    history, why = _edited(llama, Noting(), _staged(small_split), Localization.nowhere(), place)

    (first, seed), (second, other) = SEEN
    assert why is None
    assert [*first, *second] == [fact.id for fact in small_split.forget]
    assert len({seed, other, place.seed}) == 3
    assert history == [{"stage": 1, "step": 1}, {"stage": 2, "step": 1}]


def test_without_stages_all_is_forgotten_at_once_and_the_history_says_nothing_of_them(
    llama: Model, small_split: Split, place: EditingPlace
) -> None:
    history, _ = _edited(llama, Noting(), small_split.for_methods(), Localization.nowhere(), place)

    assert [([fact.id for fact in small_split.forget], place.seed)] == SEEN
    assert history == [{"step": 1}]


def test_a_stage_that_diverges_ends_the_edit_with_the_history_so_far(
    llama: Model, small_split: Split, place: EditingPlace
) -> None:
    history, why = _edited(llama, Noting(until=1), _staged(small_split), Localization.nowhere(), place)

    assert why == "diverged: too much"
    assert history == [{"stage": 1, "step": 1}, {"stage": 2, "step": 1}]


# -- what a model knows ----------------------------------------------------------------------------------


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[int]:
    """A model that knows every second fact; says how many it was asked, batch by batch."""
    counts: list[int] = []

    def score(model: Any, facts: Sequence[Fact]) -> list[Scored]:
        counts.append(len(facts))
        return [Scored((-0.1 if int(fact.subject[4:7]) % 2 == 0 else -2.0, -3.0), frozenset()) for fact in facts]

    monkeypatch.setattr(knowledge, "score_directly", score)
    monkeypatch.setattr(knowledge, "load", lambda located, device: None)
    monkeypatch.setattr(knowledge, "TOGETHER", 20)
    monkeypatch.setenv("UNLEARNBENCH_CACHE", str(tmp_path / "cache"))
    return counts


@pytest.fixture
def facts(tmp_path: Path) -> CounterFact:
    """A hundred records in a file; ten are to be forgotten and twenty kept."""
    places = "Oslo Lima Quito Cairo Accra Hanoi Sofia Minsk Dakar Seoul".split()
    rows = [
        {
            "case_id": i,
            "requested_rewrite": {
                "prompt": "{} lives in",
                "relation_id": "P1",
                "target_new": {"str": places[(i + 1) % 10]},
                "target_true": {"str": places[i % 10]},
                "subject": f"Name{i:03} Varn",
            },
            **{f"{kind}_prompts": [] for kind in ("paraphrase", "neighborhood", "attribute", "generation")},
        }
        for i in range(100)
    ]
    path = tmp_path / "counterfact.json"
    path.write_text(json.dumps(rows))
    return CounterFact("10", str(path), keep=20)


@pytest.fixture
def located(place: EditingPlace) -> Located:
    """A model from the hub."""
    return Located(source=place.source.model_copy(update={"kind": "hf"}), folder=Path("nowhere"))


def test_only_facts_that_the_model_knows_are_forgotten_or_kept_and_no_more_are_asked_than_are_needed(
    facts: CounterFact, located: Located, asked: list[int]
) -> None:
    split = informed(facts, located).split(0)

    used = [*split.forget, *split.maintain_train, *split.maintain_dev, *split.maintain_test]
    assert len(split.forget) == 10
    assert len(used) == 30
    assert all(int(fact.subject[4:7]) % 2 == 0 for fact in used)
    assert 60 <= sum(asked) <= 100


def test_what_is_known_is_found_once(facts: CounterFact, located: Located, asked: list[int]) -> None:
    first = informed(facts, located)
    before = list(asked)

    assert informed(facts, located) == first
    assert asked == before


def test_a_cache_that_is_not_whole_is_made_anew(
    facts: CounterFact, located: Located, asked: list[int], tmp_path: Path
) -> None:
    first = informed(facts, located)
    (kept,) = (tmp_path / "cache" / "known").iterdir()
    kept.write_text(kept.read_text()[:50])

    assert informed(facts, located) == first


def test_where_all_facts_are_to_be_kept_nothing_is_asked(
    facts: CounterFact, located: Located, asked: list[int]
) -> None:
    split = informed(replace(facts, known=0), located).split(0)

    assert asked == []
    assert any(int(fact.subject[4:7]) % 2 for fact in split.forget)
