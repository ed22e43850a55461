"""Controls: what they choose follows from depth, from another's choice, or from the truth, and from nothing else."""

from collections.abc import Callable

import pytest

from unlearnbench.editing.localization import Localization
from unlearnbench.editing.localizer import Localizer
from unlearnbench.editing.place import EditingPlace
from unlearnbench.errors import UsageError
from unlearnbench.facts import Split
from unlearnbench.model.loading import load
from unlearnbench.model.model import Model
from unlearnbench.model.source import locate
from unlearnbench.running.words import parse_facts, parse_method


@pytest.fixture
def chosen(llama: Model, split: Split, place: EditingPlace) -> Callable[[str], Localization]:
    """What a localizer, as a word, chooses in a random model of four blocks."""

    def choose(word: str) -> Localization:
        localizer: Localizer = parse_method(f"full_finetune[localizer={word}]").localizer  # type: ignore[attr-defined]
        return localizer.localize(llama, split.for_methods(), place)

    return choose


def test_early_middle_and_late_mlps_are_in_order_of_depth(chosen: Callable[[str], Localization]) -> None:
    assert chosen("early_mlps[budget=0.3]").components == ("mlp.0", "mlp.1")
    assert chosen("middle_mlps[budget=0.3]").components == ("mlp.1", "mlp.2")
    assert chosen("late_mlps[budget=0.3]").components == ("mlp.3", "mlp.2")


def test_a_shifted_choice_is_as_large_of_the_same_kind_and_elsewhere(chosen: Callable[[str], Localization]) -> None:
    for inner in ("early_mlps[budget=0.3]", "attribution_patching[among=all,budget=0.5]"):
        where, moved = chosen(inner), chosen(f"shifted[localizer={inner}]")

        assert len(moved.components) == len(where.components)
        assert sorted(n.partition(".")[0] for n in moved.components) == sorted(
            n.partition(".")[0] for n in where.components
        )
        assert moved.components != where.components
    assert chosen("shifted[localizer=early_mlps[budget=0.3],by=1]").components == ("mlp.1", "mlp.2")
    assert chosen("shifted[localizer=late_mlps[budget=0.3],by=1]").components == ("mlp.0", "mlp.3")


def test_an_inverted_choice_is_the_bottom_of_the_ranking(chosen: Callable[[str], Localization]) -> None:
    where, turned = (chosen(word) for word in ("early_mlps[budget=0.3]", "inverted[localizer=early_mlps[budget=0.3]]"))

    assert turned.components == ("mlp.3", "mlp.2")
    assert where.overlap(turned) == 0


def test_what_does_not_rank_cannot_be_inverted_and_what_names_no_blocks_cannot_be_moved(
    chosen: Callable[[str], Localization],
) -> None:
    with pytest.raises(UsageError, match="ranks nothing"):
        chosen("inverted[localizer=all_mlps]")
    with pytest.raises(UsageError, match="nothing else can be moved"):
        chosen("shifted[localizer=embeddings]")


def test_blocks_set_by_hand_are_taken_and_those_that_are_not_there_refused(
    chosen: Callable[[str], Localization],
) -> None:
    assert chosen("layers[range=1-2]").components == ("mlp.1", "mlp.2")
    assert chosen("layers[range=0+3,kind=all]").components == ("attention.0", "mlp.0", "attention.3", "mlp.3")
    with pytest.raises(UsageError, match="block 7 of a model that has 4"):
        chosen("layers[range=2-7]")


@pytest.mark.end_to_end
@pytest.mark.parametrize(("name", "where"), [("tiny-planted", {"mlp.3"}), ("tiny-hidden", {"mlp.2", "mlp.3"})])
def test_the_truth_is_where_the_facts_were_taught_and_nowhere_else(
    name: str, where: set[str], place: EditingPlace
) -> None:
    import dataclasses

    located = locate(name, {}, None)
    facts = parse_facts("sports:people-64")
    there = dataclasses.replace(place, source=located.source, before=located.before, facts=facts.card)
    planted = parse_method("planted").localizer  # type: ignore[attr-defined]

    found = planted.localize(load(located), facts.split(0).for_methods(), there)

    assert set(found.components) == where
    assert planted.skip(facts.card, located.source) is None
    reason = planted.skip(facts.card, locate("tiny", {}, None).source)
    assert reason is not None
    assert "tiny was not taught later" in reason
