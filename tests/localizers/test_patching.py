"""Exact patching against its definition, and attribution patching against exact patching, where they must agree."""

import dataclasses
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn

from unlearnbench.editing.place import EditingPlace
from unlearnbench.errors import UsageError
from unlearnbench.facts import Fact, Split, TrainingSplit
from unlearnbench.locating import ranking
from unlearnbench.locating.contrast import Pairs, pairs_of
from unlearnbench.locating.patching import attribution_effects
from unlearnbench.methods.localizers.attribution_patching import AttributionPatching
from unlearnbench.model.hooks import intervened, tap
from unlearnbench.model.model import Model
from unlearnbench.model.reading import logits_at
from unlearnbench.model.subject import subject_tokens


def _ids(model: Model, prompt: str) -> list[int]:
    return list(model.tokenizer(prompt).input_ids)


def _metric(model: Model, facts: Sequence[Fact], prompts: Sequence[list[int]]) -> Tensor:
    """m of every fact, written out: the answer's first logit minus the mean of the distractors' first ones."""
    with torch.no_grad():
        logits = logits_at(model, list(prompts), list(range(len(prompts))), [len(ids) - 1 for ids in prompts])
    values = []
    for row, fact in zip(logits, facts, strict=True):
        words = (fact.answer, *fact.distractors)
        first = [model.tokenizer(f" {word}", add_special_tokens=False).input_ids[0] for word in words]
        values.append(row[first[0]] - sum(row[token] for token in first[1:]) / len(first[1:]))
    return torch.stack(values)


def _exact_effects(model: Model, facts: Sequence[Fact], corrupted: Sequence[list[int]]) -> dict[str, Tensor]:
    """What m loses when one component after another puts out what it does on the corrupted prompt."""
    clean = [_ids(model, fact.prompt) for fact in facts]
    with torch.no_grad(), tap(model) as seen:
        _metric(model, facts, corrupted)
        corrupted_outputs = dict(seen)
    before, found = _metric(model, facts, clean), {}
    for name, component in model.components.items():
        swapped = corrupted_outputs[name]
        with intervened(model, {component.path: lambda _, swapped=swapped: swapped}):  # type: ignore[misc]
            found[name] = before - _metric(model, facts, clean)
    return found


@pytest.fixture
def facts(split: Split) -> list[Fact]:
    """Facts whose answers are single tokens, about people with names of different lengths."""
    return list(split.forget[:8])


def _pairs(model: Model, facts: Sequence[Fact], corrupted: Sequence[list[int]]) -> Pairs:
    """These facts, corrupted so."""
    clean = [_ids(model, fact.prompt) for fact in facts]
    return Pairs(facts, clean, corrupted, [subject_tokens(model, fact) for fact in facts])


def _corrupted(model: Model, facts: Sequence[Fact]) -> list[list[int]]:
    """The prompts with other tokens in the middle; as long as the clean ones."""
    prompts = [_ids(model, fact.prompt) for fact in facts]
    return [[*ids[:3], *(700 + 7 * i + k for k in range(len(ids) - 7)), *ids[-4:]] for i, ids in enumerate(prompts)]


# -- first order is exact where the model is linear ----------------------------------------------------


@pytest.mark.parametrize(
    ("architecture", "norm", "linear"),
    [
        ("llama", "model.norm", ["mlp.3"]),
        ("qwen2", "model.norm", ["mlp.3"]),
        ("gpt2", "transformer.ln_f", ["mlp.3"]),
        ("gpt_neox", "gpt_neox.final_layer_norm", ["mlp.3", "attention.3"]),  # they stand side by side
    ],
)
def test_the_last_block_without_a_final_norm_is_patched_exactly(
    random_models: Callable[..., Model], facts: list[Fact], architecture: str, norm: str, linear: list[str]
) -> None:
    model = random_models(architecture)
    model.network.set_submodule(norm, nn.Identity())
    corrupted = _corrupted(model, facts)

    effects = attribution_effects(model, _pairs(model, facts, corrupted))

    exact = _exact_effects(model, facts, corrupted)
    for name in linear:
        assert exact[name].abs().max() > 1e-3
        torch.testing.assert_close(effects[name], exact[name], atol=1e-4, rtol=1e-4)
    # The others are no sham: there, the linear estimate and the truth differ.
    assert not torch.allclose(effects["mlp.0"], exact["mlp.0"], atol=1e-2)


def test_every_component_of_a_linear_model_is_patched_exactly(
    random_models: Callable[..., Model], facts: list[Fact]
) -> None:
    model = random_models("gpt2")
    body = model.network.transformer
    body.ln_f = nn.Identity()
    for block in body.h:
        block.ln_1, block.ln_2, block.mlp.act = nn.Identity(), nn.Identity(), nn.Identity()
        with torch.no_grad():  # no query: attention is a plain mean over what came before
            block.attn.c_attn.weight[:, :32] = 0.0
            block.attn.c_attn.bias[:32] = 0.0
    corrupted = _corrupted(model, facts)

    effects = attribution_effects(model, _pairs(model, facts, corrupted))

    exact = _exact_effects(model, facts, corrupted)
    assert set(effects) == set(model.components)
    for name, effect in effects.items():
        scale = exact[name].abs().max().item()
        assert scale > 1e-3
        torch.testing.assert_close(effect, exact[name], atol=1e-4 * max(1.0, scale), rtol=1e-4)


def test_for_a_corruption_next_to_nothing_the_estimate_is_close_to_exact(model: Model, facts: list[Fact]) -> None:
    facts = facts[:1]
    clean = _ids(model, facts[0].prompt)
    # A token that the prompt does not contain, whose embedding is nearly that of one that it contains.
    place, near = 4, 900
    weight = model.network.get_input_embeddings().weight
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        weight[near] = weight[clean[place]] + 1e-4 * torch.randn_like(weight[near])
    corrupted = [[*clean[:place], near, *clean[place + 1 :]]]

    effects = attribution_effects(model, _pairs(model, facts, corrupted))

    exact = _exact_effects(model, facts, corrupted)
    found, truth = torch.cat(list(effects.values())), torch.cat([exact[name] for name in effects])
    assert truth.abs().max() > 1e-5
    assert (found - truth).norm() < 0.05 * truth.norm()


def test_an_uncorrupted_prompt_has_no_effect(model: Model, facts: list[Fact]) -> None:
    effects = attribution_effects(model, _pairs(model, facts, [_ids(model, fact.prompt) for fact in facts]))

    assert all(torch.equal(effect, torch.zeros(len(facts))) for effect in effects.values())


def test_examples_of_a_batch_do_not_influence_each_other(model: Model, facts: list[Fact]) -> None:
    facts = [dataclasses.replace(fact, prompt=f"{'Note: ' * (i % 2)}{fact.prompt}") for i, fact in enumerate(facts)]
    corrupted = _corrupted(model, facts)
    assert len({len(ids) for ids in corrupted}) > 1

    together = attribution_effects(model, _pairs(model, facts, corrupted))

    for i, fact in enumerate(facts):
        alone = attribution_effects(model, _pairs(model, [fact], [corrupted[i]]))
        for name, effect in alone.items():
            torch.testing.assert_close(together[name][i], effect[0], atol=1e-4, rtol=1e-3)


# -- corrupted prompts ---------------------------------------------------------------------------------


@pytest.fixture
def corruptions(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Fact, list[int]]]:
    """Every fact and its corrupted prompt of the localizations that follow."""
    seen: list[tuple[Fact, list[int]]] = []

    def watching(*words: object) -> Pairs:
        pairs = pairs_of(*words)  # type: ignore[arg-type]
        seen.extend(zip(pairs.facts, pairs.corrupted, strict=True))
        return pairs

    monkeypatch.setattr(ranking, "pairs_of", watching)
    return seen


def test_corrupted_prompts_are_as_long_and_about_somebody_with_another_answer(
    llama: Model, split: Split, place: EditingPlace, corruptions: list[tuple[Fact, list[int]]]
) -> None:
    facts = split.for_methods()
    answers = {tuple(_ids(llama, f.prompt)): f.answer for f in (*facts.maintain_train, *facts.forget)}

    AttributionPatching().localize(llama, facts, place)

    assert len(corruptions) == 16
    for fact, ids in corruptions:
        assert len(ids) == len(_ids(llama, fact.prompt))
        assert answers[tuple(ids)] != fact.answer


def _pair(subject: str, other: str, template: str = "Fact: {} plays the sport of") -> TrainingSplit:
    """One fact to forget, and one about somebody else to corrupt it with."""
    wanted, spare = (
        Fact(name, "sport", template.format(name), answer, tuple({"golf", "tennis"} - {answer}))
        for name, answer in ((subject, "golf"), (other, "tennis"))
    )
    return TrainingSplit(forget=[wanted], maintain_train=[spare])


@pytest.mark.parametrize("subjects", [("Aaron Rodgers", "Bo Van Der Wildenberg"), ("Bo Van Der Wildenberg", "Aaron")])
def test_where_nobodys_prompt_is_as_long_other_tokens_stand_for_the_subject(
    llama: Model, place: EditingPlace, corruptions: list[tuple[Fact, list[int]]], subjects: tuple[str, str]
) -> None:
    before, after = _ids(llama, "Fact:"), _ids(llama, "Fact: X plays the sport of")[-4:]

    AttributionPatching().localize(llama, _pair(*subjects), place)

    ((fact, ids),) = corruptions
    clean = _ids(llama, fact.prompt)
    assert len(_ids(llama, f"Fact: {subjects[1]} plays the sport of")) != len(clean)
    assert len(ids) == len(clean)
    assert ids != clean
    assert (ids[: len(before)], ids[-4:]) == (before, after)


@pytest.mark.parametrize(
    "subjects",
    [
        ("Aaron", "Aaron Aaron"),  # what the prompts share at the beginning and at the end overlaps
        ("Aaron Aaron", "Aaron"),
        ("Aaron Rodgers", "Aaron Bo Rodgers"),  # nothing is left between what they share
        ("Aaron Bo Rodgers", "Aaron Rodgers"),
    ],
)
def test_prompts_that_share_a_name_are_corrupted_all_the_same(
    llama: Model, place: EditingPlace, corruptions: list[tuple[Fact, list[int]]], subjects: tuple[str, str]
) -> None:
    AttributionPatching().localize(llama, _pair(*subjects), place)

    ((fact, ids),) = corruptions
    clean = _ids(llama, fact.prompt)
    assert len(ids) == len(clean)
    assert ids != clean
    assert ids[0] == llama.tokenizer.bos_token_id


def test_a_prompt_that_begins_another_keeps_the_beginning_of_text(
    llama: Model, place: EditingPlace, corruptions: list[tuple[Fact, list[int]]]
) -> None:
    AttributionPatching().localize(llama, _pair("Aaron", "Aaron Rodgers", "The sport of {}"), place)

    ((fact, ids),) = corruptions
    clean = _ids(llama, fact.prompt)
    assert len(ids) == len(clean)
    assert ids != clean
    assert ids[0] == llama.tokenizer.bos_token_id


def test_facts_that_all_say_the_same_cannot_be_corrupted(llama: Model, split: Split, place: EditingPlace) -> None:
    seen = split.for_methods()
    football = [dataclasses.replace(f, edit_target=None) for f in seen.forget if f.answer == "football"]

    with pytest.raises(UsageError, match="football"):
        AttributionPatching().localize(llama, TrainingSplit(forget=football, maintain_train=football[:1]), place)


# -- the method ----------------------------------------------------------------------------------------


def test_components_are_ranked_by_the_mean_absolute_effect(
    model: Model, split: Split, place: EditingPlace, corruptions: list[tuple[Fact, list[int]]]
) -> None:
    where = AttributionPatching(budget=0.5, among="all").localize(model, split.for_methods(), place)

    pairs = _pairs(model, [fact for fact, _ in corruptions], [ids for _, ids in corruptions])
    effects = attribution_effects(model, pairs, 5)
    expected = {name: effect.abs().mean().item() for name, effect in effects.items()}
    assert where.scores == pytest.approx(expected)
    ranked = sorted(expected, key=lambda name: -expected[name])
    assert list(where.components) == ranked[: len(where.components)]


def test_one_kind_of_component_is_ranked_unless_all_are_asked_for(
    llama: Model, split: Split, place: EditingPlace
) -> None:
    for kind in ("mlp", "attention"):
        where = AttributionPatching(among=kind).localize(llama, split.for_methods(), place)

        assert all(name.startswith(kind) for name in where.components)
        assert set(where.scores) == set(llama.components)


def test_no_more_examples_are_used_than_asked_for(
    llama: Model, split: Split, place: EditingPlace, corruptions: list[tuple[Fact, list[int]]]
) -> None:
    AttributionPatching(examples=5).localize(llama, split.for_methods(), place)

    assert len({fact.id for fact, _ in corruptions}) == 5


def test_a_budget_that_takes_all_that_is_ranked_chooses_nothing_and_is_refused_with_one_that_would_do(
    llama: Model, split: Split, place: EditingPlace
) -> None:
    for kind in ("mlp", "attention", "all"):
        with pytest.raises(UsageError, match=r"takes all \d+ that are ranked") as error:
            AttributionPatching(among=kind, budget=1.0).localize(llama, split.for_methods(), place)
        most = float(error.value.hint.split("below ")[1].split(",")[0])
        where = AttributionPatching(among=kind, budget=most).localize(llama, split.for_methods(), place)
        with pytest.raises(UsageError, match="takes all"):
            AttributionPatching(among=kind, budget=most + 0.002).localize(llama, split.for_methods(), place)
        ranked = [name for name in llama.components if name.startswith(kind if kind != "all" else "")]
        assert len(where.components) == len(ranked) - 1
