"""Every objective against its formula, written out by hand in float64."""

import dataclasses
import math
from collections.abc import Callable, Sequence

import pytest
import torch
import torch.nn.functional as F
from scipy.spatial.distance import jensenshannon
from scipy.special import rel_entr

from unlearnbench.editing import room
from unlearnbench.editing.adversary import Adversary
from unlearnbench.editing.keeping import Keeping
from unlearnbench.editing.localization import Localization
from unlearnbench.editing.losses import (
    jensen_shannon,
    jensen_shannon_to,
    kl_divergence,
    relative_distance,
)
from unlearnbench.editing.objective import Batch, Objective, Term, forget_term, whole_texts
from unlearnbench.editing.place import EditingPlace, reference_of
from unlearnbench.editing.refusals import REFUSALS, refusals_of
from unlearnbench.errors import UsageError
from unlearnbench.facts import Fact, Split, TrainingSplit
from unlearnbench.methods.full_finetune import FullFinetune
from unlearnbench.methods.task_vector import TaskVector
from unlearnbench.model.model import Model
from unlearnbench.model.reading import answer_loss, encode, text_logits
from unlearnbench.settings import made

LN2 = math.log(2)


def _logp(model: Model, pairs: Sequence[tuple[str, str]]) -> list[torch.Tensor]:
    """ln p [tokens] of each answer in float64, by the network on that pair alone."""
    found = []
    for prompt, answer in pairs:
        context, tokens = encode(model, prompt, answer)
        with torch.no_grad():
            logits = model.network(input_ids=torch.tensor([context + tokens])).logits[0].double()
        picked = logits[len(context) - 1 : -1].log_softmax(-1).gather(-1, torch.tensor(tokens)[:, None])
        found.append(picked[:, 0])
    return found


def _moved(model: Model) -> Model:
    """The model, some way from where it was."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters.values():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return model


@pytest.fixture
def here(place: EditingPlace, model: Model) -> EditingPlace:
    """Where an objective finds the model of before."""
    return dataclasses.replace(place, reference=model.frozen_copy(model.parameters))


@pytest.fixture
def batch(small_split: Split, place: EditingPlace) -> Batch:
    """Facts with answers of several tokens, some to forget and some to keep, and texts."""
    return Batch(3, small_split.forget, small_split.maintain_train, place.retain.batch(0, 0, 3))


def _terms(word: str, model: Model, split: Split, place: EditingPlace) -> dict[str, Term]:
    return {term.name: term for term in made(Objective, word).terms(model, split.for_methods(), place)}


def _truths(facts: Sequence[Fact]) -> list[tuple[str, str]]:
    return [(fact.prompt, fact.answer) for fact in facts]


# -- on probabilities of answers -----------------------------------------------------------------------


def test_gradient_ascent_is_minus_the_cross_entropy(
    model: Model, small_split: Split, here: EditingPlace, batch: Batch
) -> None:
    (term,) = _terms("gradient_ascent", model, small_split, here).values()

    found = term.loss(batch).item()

    assert found == pytest.approx(torch.cat(_logp(model, _truths(batch.forget))).mean().item(), rel=1e-5)


def test_gradient_difference_leaves_alone_what_is_unlikely_enough(
    model: Model, small_split: Split, here: EditingPlace, batch: Batch
) -> None:
    for bound in (0.3, 1.0, 5.0):
        (term,) = _terms(f"graddiff[bound={bound}]", model, small_split, here).values()
        logp = torch.cat(_logp(model, _truths(batch.forget)))
        expected = logp.clamp_min(-bound * math.log(model.vocabulary)).mean().item()

        assert term.loss(batch).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("beta", [0.1, 2.0])
def test_npo_is_its_formula(model: Model, small_split: Split, here: EditingPlace, batch: Batch, beta: float) -> None:
    (term,) = _terms(f"npo[beta={beta}]", model, small_split, here).values()
    before = [found.sum() for found in _logp(model, _truths(batch.forget))]
    assert term.loss(batch).item() == pytest.approx(2 / beta * LN2, rel=1e-5), "where nothing has changed"

    now = [found.sum() for found in _logp(_moved(model), _truths(batch.forget))]
    ratios = [float(a - b) for a, b in zip(now, before, strict=True)]

    expected = math.fsum(2 / beta * math.log1p(math.exp(beta * ratio)) for ratio in ratios) / len(ratios)
    assert term.loss(batch).item() == pytest.approx(expected, rel=1e-4)


def test_npo_pushes_as_gradient_ascent_does_while_nothing_has_changed_yet(
    llama: Model, small_split: Split, place: EditingPlace, batch: Batch
) -> None:
    """Its gradient is 2p^β/(p^β + p₀^β) times that of ln p, and p = p₀: for any β that of the sum over tokens."""
    weight = llama.parameters["model.norm.weight"]
    pairs = _truths(batch.forget)
    tokens = sum(len(encode(llama, *pair)[1]) for pair in pairs)
    (ascent,) = _terms("gradient_ascent", llama, small_split, place).values()
    (expected,) = torch.autograd.grad(ascent.loss(batch) * tokens / len(pairs), weight)

    for beta in (0.1, 1.0):
        (term,) = _terms(f"npo[beta={beta}]", llama, small_split, place).values()
        (found,) = torch.autograd.grad(term.loss(batch), weight)

        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_simple_npo_is_its_formula(model: Model, small_split: Split, here: EditingPlace, batch: Batch) -> None:
    (term,) = _terms("simnpo[beta=2.5,gamma=0.5]", model, small_split, here).values()

    found = term.loss(batch).item()

    means = [float(one.mean()) for one in _logp(model, _truths(batch.forget))]
    expected = math.fsum(2 / 2.5 * math.log1p(math.exp(2.5 * mean + 0.5)) for mean in means) / len(means)
    assert found == pytest.approx(expected, rel=1e-4)


def test_idk_is_the_cross_entropy_of_a_refusal(
    model: Model, small_split: Split, here: EditingPlace, batch: Batch
) -> None:
    (term,) = _terms("idk", model, small_split, here).values()
    said = refusals_of(batch.forget, here.seed)

    expected = -torch.cat(_logp(model, [(fact.prompt, said[fact.id]) for fact in batch.forget])).mean().item()

    assert term.loss(batch).item() == pytest.approx(expected, rel=1e-5)


def test_refusals_are_a_function_of_seed_and_fact_and_all_of_them_occur(split: Split) -> None:
    facts = split.maintain_train

    assert refusals_of(facts, 1) == {**refusals_of(facts[1:], 1), **refusals_of(facts[:1], 1)}
    assert refusals_of(facts, 1) != refusals_of(facts, 2)
    assert {*refusals_of(facts, 1).values()} == {*REFUSALS}


def test_dpo_is_its_formula(model: Model, small_split: Split, here: EditingPlace, batch: Batch) -> None:
    (term,) = _terms("dpo[beta=0.7]", model, small_split, here).values()
    said = refusals_of(batch.forget, here.seed)
    pairs = [(fact.prompt, said[fact.id]) for fact in batch.forget], _truths(batch.forget)
    before = [[one.sum() for one in _logp(model, some)] for some in pairs]
    assert term.loss(batch).item() == pytest.approx(2 / 0.7 * LN2, rel=1e-5), "where nothing has changed"

    _moved(model)
    now = [[one.sum() for one in _logp(model, some)] for some in pairs]

    won, lost = ([float(a - b) for a, b in zip(*both, strict=True)] for both in zip(now, before, strict=True))
    values = [2 / 0.7 * math.log1p(math.exp(-0.7 * (a - b))) for a, b in zip(won, lost, strict=True)]
    assert term.loss(batch).item() == pytest.approx(math.fsum(values) / len(values), rel=1e-4)


def test_a_random_answer_is_wrong_and_another_one_at_other_steps(
    model: Model, small_split: Split, here: EditingPlace, batch: Batch
) -> None:
    (term,) = _terms("random_answer", model, small_split, here).values()
    able = []
    for fact in batch.forget:
        wrong = _logp(model, [(fact.prompt, answer) for answer in fact.distractors])
        able.append([(-one.sum().item(), len(one)) for one in wrong])

    losses = {step: term.loss(dataclasses.replace(batch, step=step)).item() for step in range(6)}

    assert losses == {step: term.loss(dataclasses.replace(batch, step=step)).item() for step in range(6)}
    assert len(set(losses.values())) > 1
    means = [[]]  # type: list[list[tuple[float, int]]]
    for choices in able:
        means = [[*some, one] for some in means for one in choices]
    possible = [sum(nll for nll, _ in some) / sum(count for _, count in some) for some in means]
    assert all(min(abs(loss - one) for one in possible) < 1e-4 for loss in losses.values())


# -- divergences ---------------------------------------------------------------------------------------


def test_divergences_are_scipys() -> None:
    generator = torch.Generator().manual_seed(0)
    before, now = (3 * torch.randn(5, 11, generator=generator, dtype=torch.float64) for _ in range(2))
    p, q = before.softmax(-1).numpy(), now.softmax(-1).numpy()

    assert kl_divergence(before, now).item() == pytest.approx(rel_entr(p, q).sum(-1).mean(), rel=1e-9)
    assert jensen_shannon(before, now).item() == pytest.approx((jensenshannon(p, q, axis=-1) ** 2).mean(), rel=1e-9)
    sure = F.one_hot(torch.tensor([3, 0, 10, 1, 1]), 11).numpy()
    assert jensen_shannon_to(now, torch.tensor([3, 0, 10, 1, 1])).item() == pytest.approx(
        (jensenshannon(sure, q, axis=-1) ** 2).mean(), rel=1e-9
    )


def test_jensen_shannon_is_zero_of_the_same_and_ln_two_of_what_has_nothing_in_common() -> None:
    logits = torch.tensor([[40.0, 0.0], [0.0, 0.0]], dtype=torch.float64)

    assert jensen_shannon(logits, logits).item() == pytest.approx(0.0, abs=1e-12)
    assert jensen_shannon(logits[:1], -logits[:1]).item() == pytest.approx(LN2, rel=1e-9)
    assert jensen_shannon_to(logits[:1], torch.tensor([0])).item() == pytest.approx(0.0, abs=1e-9)
    assert jensen_shannon_to(logits[:1], torch.tensor([1])).item() == pytest.approx(LN2, rel=1e-9)


def test_the_divergence_to_a_certainty_has_a_gradient_where_it_is_hopeless() -> None:
    logits = torch.tensor([[30.0, 0.0]], requires_grad=True)

    (gradient,) = torch.autograd.grad(jensen_shannon_to(logits, torch.tensor([1])), logits)

    assert gradient.isfinite().all()


def test_jensun_is_its_formula(model: Model, small_split: Split, here: EditingPlace, batch: Batch) -> None:
    terms = _terms("jensun[keep=2]", model, small_split, here)
    said = refusals_of(batch.forget, here.seed)
    reference = reference_of(here)
    assert [(term.name, term.weight, term.about) for term in terms.values()] == [
        ("forget", 1.0, "forget"),
        ("maintain_jsd", 2.0, "maintain"),
        ("retain_jsd", 2.0, None),
    ]
    assert terms["maintain_jsd"].loss(batch).item() == pytest.approx(0.0, abs=1e-6)
    assert terms["retain_jsd"].loss(batch).item() == pytest.approx(0.0, abs=1e-6)

    _moved(model)

    p = torch.cat(_logp(model, [(fact.prompt, said[fact.id]) for fact in batch.forget])).exp()
    by_hand = ((1 - p) * LN2 + p * torch.log(2 * p / (1 + p)) - torch.log((1 + p) / 2)) / 2
    assert terms["forget"].loss(batch).item() == pytest.approx(by_hand.mean().item(), rel=1e-4)
    with torch.no_grad():
        both = [text_logits(one, batch.retain)[0].double().softmax(-1).numpy() for one in (reference, model)]
    expected = (jensenshannon(*both, axis=-1) ** 2).mean()
    assert terms["retain_jsd"].loss(batch).item() == pytest.approx(expected, rel=1e-3)
    assert 0 < terms["maintain_jsd"].loss(batch).item() < LN2


# -- on states -----------------------------------------------------------------------------------------


def _states(model: Model, texts: Sequence[list[int]], block: int) -> torch.Tensor:
    """The residual stream after a block, text by text in float64, without the BOS."""
    found = []
    for ids in texts:
        with torch.no_grad():
            every = model.network(input_ids=torch.tensor([ids]), output_hidden_states=True)
            seen = list[torch.Tensor]()
            path = f"{model.family.blocks}.{block}"
            hook = model.network.get_submodule(path).register_forward_hook(
                lambda _m, _i, out, seen=seen: seen.append(out[0] if isinstance(out, tuple) else out)
            )
            model.network(input_ids=torch.tensor([ids]))
            hook.remove()
        if block + 1 < model.blocks:  # the last of these has gone through the final norm
            torch.testing.assert_close(seen[0], every.hidden_states[block + 1])
        found.append(seen[0][0, 1:].double())
    return torch.cat(found)


@pytest.mark.parametrize("word", ["25%", "0", "99%"])
def test_rmu_is_its_formula(model: Model, small_split: Split, here: EditingPlace, batch: Batch, word: str) -> None:
    terms = _terms(f"rmu[layer={word},scale=3,alpha=7]", model, small_split, here)
    block = {"25%": 1, "0": 0, "99%": 3}[word]
    norm = _states(model, whole_texts(model, small_split.forget), block).norm(dim=-1).median()
    reference = reference_of(here)
    assert {name: term.weight for name, term in terms.items()} == {
        "forget": 1.0,
        "maintain_states": 7.0,
        "retain_states": 7.0,
    }
    assert terms["retain_states"].loss(batch).item() == pytest.approx(0.0, abs=1e-6)

    _moved(model)

    for name, texts in (("maintain_states", whole_texts(model, batch.maintain)), ("retain_states", batch.retain)):
        away = (_states(model, texts, block) - _states(reference, texts, block)) / norm
        assert terms[name].loss(batch).item() == pytest.approx(away.square().sum(-1).mean().item(), rel=1e-3)
    # The direction is not told: of a loss ‖a − u‖² for two batches, u's length and its share follow.
    states = _states(model, whole_texts(model, batch.forget), block) / norm
    loss = terms["forget"].loss(batch).item()
    along = (states.square().sum(-1).mean().item() + 9 - loss) / 2
    assert abs(along) <= 3 * states.mean(0).norm().item() + 1e-4, "the target is three norms long"


def test_rmus_direction_is_one_for_the_whole_run_and_another_for_another_seed(
    llama: Model, small_split: Split, place: EditingPlace, batch: Batch
) -> None:
    there = dataclasses.replace(place, reference=llama.frozen_copy(llama.parameters))

    def losses(seed: int) -> list[float]:
        terms = _terms("rmu[layer=1]", llama, small_split, dataclasses.replace(there, seed=seed))
        return [terms["forget"].loss(dataclasses.replace(batch, step=step)).item() for step in range(3)]

    assert len(set(losses(1))) == 1
    assert losses(1) == losses(1)
    assert losses(1) != losses(2)


def test_circuit_breaking_is_its_formula(model: Model, small_split: Split, here: EditingPlace, batch: Batch) -> None:
    terms = _terms("circuit_breaker[layers=0+50%]", model, small_split, here)
    reference, texts = reference_of(here), whole_texts(model, batch.forget)
    first = terms["forget"].loss(batch)
    assert first.item() == pytest.approx(1.0, rel=1e-3), "nothing has turned yet"
    # Only blocks up to the deepest that is looked at have one.
    slopes = torch.autograd.grad(first, [p for p in model.parameters.values() if p.dim() > 1], allow_unused=True)
    assert max(slope.abs().max().item() for slope in slopes if slope is not None) > 1e-6, "and yet it knows a way"

    _moved(model)

    cosines = [
        F.cosine_similarity(_states(model, texts, block), _states(reference, texts, block), dim=-1).relu().mean()
        for block in (0, 2)
    ]
    assert terms["forget"].loss(batch).item() == pytest.approx(torch.stack(cosines).mean().item(), abs=0.02)
    shares = []
    for block in (0, 2):
        before = _states(reference, batch.retain, block)
        shares.append((_states(model, batch.retain, block) - before).square().sum() / before.square().sum())
    assert terms["retain_states"].loss(batch).item() == pytest.approx(torch.stack(shares).mean().item(), rel=1e-3)


def test_what_looks_inside_looks_at_the_deepest_block_that_is_trained(
    llama: Model, small_split: Split, place: EditingPlace, batch: Batch
) -> None:
    there = dataclasses.replace(place, reference=llama.frozen_copy(llama.parameters))

    def loss(word: str, components: Sequence[str]) -> float:
        trained = frozenset(name for one in components for name in llama.places[one].parameters)
        found = _terms(word, llama, small_split, dataclasses.replace(there, trained=trained))
        return found["forget"].loss(batch).item()

    for word in ("rmu", "circuit_breaker"):
        setting = {"rmu": "layer", "circuit_breaker": "layers"}[word]
        assert loss(word, ["mlp.1", "mlp.2"]) == loss(f"{word}[{setting}=2]", ["mlp.1"])
    assert loss("rmu", list(llama.components)) == loss("rmu[layer=22%]", ["mlp.0"])
    with pytest.raises(UsageError, match="block 7 of a model that has 4"):
        loss("rmu[layer=7]", ["mlp.0"])


# -- retain terms --------------------------------------------------------------------------------------


def test_retain_terms_are_cross_entropies_a_divergence_from_the_base_and_a_distance_from_it(
    model: Model, small_split: Split, here: EditingPlace, batch: Batch
) -> None:
    terms = {term.name: term for term in Keeping(1.0, 2.0, 3.0, 4.0).terms(model, here)}
    reference = reference_of(here)
    assert {name: term.weight for name, term in terms.items()} == {
        "maintain": 1.0,
        "retain": 2.0,
        "kl": 3.0,
        "hidden": 4.0,
    }
    assert terms["kl"].loss(batch).item() == pytest.approx(0.0, abs=1e-6)
    assert terms["hidden"].loss(batch).item() == pytest.approx(0.0, abs=1e-6)

    _moved(model)

    p, q = [], []
    for ids in batch.retain:
        for one, rows in ((reference, p), (model, q)):
            with torch.no_grad():
                rows.append(one.network(input_ids=torch.tensor([ids])).logits[0, :-1].double().softmax(-1))
    expected = rel_entr(torch.cat(p).numpy(), torch.cat(q).numpy()).sum(-1).mean()
    assert terms["kl"].loss(batch).item() == pytest.approx(expected, rel=1e-3)
    shares = []
    for block in range(model.blocks):
        before = _states(reference, batch.retain, block)
        shares.append((_states(model, batch.retain, block) - before).square().sum() / before.square().sum())
    assert terms["hidden"].loss(batch).item() == pytest.approx(torch.stack(shares).mean().item(), rel=1e-3)


def test_what_weighs_nothing_is_not_computed(model: Model, here: EditingPlace) -> None:
    assert Keeping(0.0, 0.0, 0.0, 0.0).terms(model, here) == []
    assert [term.name for term in Keeping(0.0, 1.0, 0.0, 0.0).terms(model, here)] == ["retain"]
    assert not Keeping(1.0, 1.0, 0.0, 0.0).compares
    assert Keeping(0.0, 0.0, 0.1, 0.0).compares


def test_the_relative_distance_does_not_depend_on_a_models_scale() -> None:
    before, now = torch.randn(2, 7, 5).unbind()

    assert relative_distance(10 * before, 10 * now).item() == pytest.approx(relative_distance(before, now).item())
    assert relative_distance(before, 2 * before).item() == pytest.approx(1.0)


# -- what cannot be ------------------------------------------------------------------------------------


def test_an_objective_that_looks_below_all_that_is_trained_is_refused(
    llama: Model, small_split: Split, place: EditingPlace
) -> None:
    seen, before = small_split.for_methods(), llama.tensor_digests()
    method = FullFinetune(objective=made(Objective, "rmu[layer=0]"), steps=2, learning_rate=1e-3)

    with pytest.raises(UsageError, match="nothing that is trained changes the forget loss"):
        method.edit(llama, seen, Localization.of(llama, ["mlp.3"]), place)

    assert llama.tensor_digests() == before


def test_an_adversary_behind_what_the_objective_looks_at_is_refused(
    llama: Model, small_split: Split, place: EditingPlace
) -> None:
    seen = small_split.for_methods()
    parts = {"objective": made(Objective, "rmu[layer=0]"), "adversary": made(Adversary, "untargeted[sites=2]")}
    method = FullFinetune(steps=2, learning_rate=1e-3, **parts)  # type: ignore[arg-type]

    with pytest.raises(UsageError, match="sites=2: no loss that the adversary attacks depends on"):
        method.edit(llama, seen, Localization.everywhere(llama), place)


def test_a_reference_for_which_there_is_no_memory_is_refused_with_the_figures(
    llama: Model, small_split: Split, place: EditingPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unlearnbench.editing.room.available", lambda _: 1000)
    seen = small_split.for_methods()
    method = FullFinetune(objective=made(Objective, "jensun"), steps=2, learning_rate=1e-3)

    with pytest.raises(room.NoRoom, match=r"GiB on cpu .* 0\.00 GiB are free"):
        method.edit(llama, seen, Localization.everywhere(llama), place)

    monkeypatch.undo()
    assert room.available(torch.device("cpu")) > 1 << 20


def test_a_reference_has_its_own_copy_of_what_is_trained_and_nothing_else(model: Model) -> None:
    changing = set(model.components["mlp.1"].parameters)
    before = model.tensor_digests()

    reference = model.frozen_copy(changing)
    for name in model.parameters:
        assert (reference.parameters[name] is model.parameters[name]) is (name not in changing)
    with torch.no_grad():
        for name in changing:
            model.parameters[name].add_(1.0)

    assert reference.tensor_digests() == before
    assert not any(reference.parameters[name].requires_grad for name in changing)


# -- task arithmetic -----------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_a_task_vector_goes_as_far_the_other_way(
    random_models: Callable[..., Model], small_split: Split, place: EditingPlace, scale: float
) -> None:
    seen, course = small_split.for_methods(), {"steps": 4, "learning_rate": 1e-3, "batch_size": 3}
    model, other, base = (random_models("llama") for _ in range(3))
    where = Localization.of(model, ["mlp.1", "attention.2"])

    TaskVector(scale=scale, **course).edit(model, seen, where, place)  # type: ignore[arg-type]
    again = FullFinetune(
        objective=Reinforced(),
        maintain_weight=0.0,
        retain_weight=0.0,
        **course,  # type: ignore[arg-type]
    )
    again.edit(other, seen, where, place)

    for name, old in base.parameters.items():
        there = other.parameters[name] - old
        torch.testing.assert_close(model.parameters[name] - old, -scale * there, atol=1e-6, rtol=1e-4)
        assert bool(there.any()) is (name in where.tensors)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reinforced(Objective):
    """The true answers, once more."""

    def terms(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Sequence[Term]:
        """One term."""
        return [forget_term(lambda facts: answer_loss(model, _truths(facts)))]
