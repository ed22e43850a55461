"""The optimizer loop against a loop written out by hand, in float32 and through float32 masters."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import pytest
import torch
from torch import Tensor

from unlearnbench.editing.adversary import Adversary, Defence, Strike
from unlearnbench.editing.finetuning import FineTuning
from unlearnbench.editing.localization import Localization
from unlearnbench.editing.localizer import Localizer
from unlearnbench.editing.losses import log_one_minus_p
from unlearnbench.editing.method import History
from unlearnbench.editing.objective import About, Objective, Term, forget_term
from unlearnbench.editing.place import EditingPlace
from unlearnbench.editing.retain import RetainText
from unlearnbench.errors import Diverged, UnknownName, UsageError
from unlearnbench.facts import Fact, Split, TrainingSplit
from unlearnbench.methods.adversaries.none import Nobody
from unlearnbench.methods.full_finetune import FullFinetune
from unlearnbench.methods.objectives.edit import Edit
from unlearnbench.methods.objectives.log1mp import Log1mp
from unlearnbench.model.hooks import intervened
from unlearnbench.model.model import Model
from unlearnbench.model.reading import answer_logits, answer_loss, text_loss
from unlearnbench.settings import made

METHOD = FullFinetune(
    steps=3,
    learning_rate=1e-2,
    batch_size=2,
    retain_batch=2,
    forget_weight=1.0,
    maintain_weight=0.5,
    retain_weight=0.25,
)
COURSE = METHOD.course()


@dataclasses.dataclass(frozen=True)
class Watched(Objective):
    """The edit objective, and the batches it was given."""

    batches: list[list[Fact]] = dataclasses.field(default_factory=list)
    maintained: list[list[Fact]] = dataclasses.field(default_factory=list)

    def terms(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Sequence[Term]:
        """As the other's."""

        def loss(facts: Sequence[Fact]) -> Tensor:
            self.batches.append(list(facts))
            return answer_loss(model, [(fact.prompt, fact.edit_target or "") for fact in facts])

        def nothing(batch: Any) -> Tensor:
            self.maintained.append(list(batch.maintain))
            return torch.zeros((), requires_grad=True)

        return [forget_term(loss), Term("watching", nothing)]


@pytest.fixture
def seen(small_split: Split) -> TrainingSplit:
    """What a method may see of the handmade facts."""
    return small_split.for_methods()


@pytest.fixture
def train(seen: TrainingSplit, place: EditingPlace) -> Callable[..., History]:
    """Fine-tune a model with these settings, and silently."""

    def perform(model: Model, where: Localization | None = None, **changes: Any) -> History:
        there = dataclasses.replace(place, **{k: changes.pop(k) for k in ("seed", "progress") if k in changes})
        split = changes.pop("split", seen)
        method = dataclasses.replace(METHOD, **changes)
        return method.edit(model, split, where or Localization.everywhere(model), there)

    return perform


def _copies(model: Model) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.parameters.items()}


# -- steps ---------------------------------------------------------------------------------------------


def test_the_first_steps_equal_a_loop_written_by_hand(
    model: Model,
    architecture: str,
    random_models: Callable[..., Model],
    train: Callable[..., History],
    retain: RetainText,
) -> None:
    watched = Watched()

    train(model, objective=watched)

    plain = random_models(architecture)
    weights = list(plain.network.parameters())
    optimizer = torch.optim.AdamW(weights, lr=1e-2, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    for step, rate in enumerate([1e-2, 1e-2, 0.5e-2]):
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        aimed = [(fact.prompt, fact.edit_target or "") for fact in watched.batches[step]]
        # One after another, as a key's bias has no gradient but rounding, which AdamW would blow up.
        torch.autograd.backward(answer_loss(plain, aimed))
        kept = [(fact.prompt, fact.answer) for fact in watched.maintained[step]]
        torch.autograd.backward(0.5 * answer_loss(plain, kept))
        torch.autograd.backward(0.25 * text_loss(plain, retain.batch(7, step, 2)))
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
    assert len(watched.batches) == len(watched.maintained) == 3
    for name, parameter in model.parameters.items():
        torch.testing.assert_close(parameter, plain.parameters[name], atol=1e-6, rtol=1e-5)


def test_only_localized_tensors_change_or_get_gradients(model: Model, train: Callable[..., History]) -> None:
    where, before = Localization.of(model, ["mlp.1", "attention.2"]), model.tensor_digests()
    with_gradient = set[str]()

    class Watching(Nobody):
        def strike(self, model: Model, defence: Defence) -> Strike:
            """Looks."""
            with_gradient.update(name for name, p in model.parameters.items() if p.requires_grad)
            return super().strike(model, defence)

    train(model, where, adversary=Watching())

    after = model.tensor_digests()
    assert with_gradient == where.tensors
    assert {name for name in before if before[name] != after[name]} == where.tensors


def test_training_leaves_no_gradients_and_the_flags_as_they_were(model: Model, train: Callable[..., History]) -> None:
    first = next(iter(model.parameters))
    model.parameters[first].requires_grad_(False)
    flags = {name: p.requires_grad for name, p in model.parameters.items()}

    train(model)

    assert {name: p.requires_grad for name, p in model.parameters.items()} == flags
    assert all(p.grad is None for p in model.parameters.values())


def test_training_lowers_every_loss(llama: Model, train: Callable[..., History]) -> None:
    history = train(llama, steps=40, learning_rate=3e-3, batch_size=4, retain_batch=16, retain_weight=1.0)

    assert all(history[-1][name] < 0.7 * history[0][name] for name in ("forget", "maintain", "retain"))


def test_unlearning_makes_the_forgotten_answers_unlikelier(llama: Model, train: Callable[..., History]) -> None:
    train(llama, steps=60, learning_rate=3e-3, batch_size=4)  # the edit targets become what is known

    @dataclasses.dataclass(frozen=True)
    class UnlearnTargets(Objective):
        def terms(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Sequence[Term]:
            """log(1 − p) on the edit targets in place of the answers."""

            def loss(facts: Sequence[Fact]) -> Tensor:
                logits, targets = answer_logits(model, [(fact.prompt, fact.edit_target or "") for fact in facts])
                return log_one_minus_p(logits, targets, Log1mp().floor)

            return [forget_term(loss)]

    history = train(llama, objective=UnlearnTargets(), steps=30, learning_rate=3e-3, batch_size=4)

    assert history[0]["forget"] > 1.0
    assert history[-1]["forget"] < 0.2 * history[0]["forget"]


def test_history_and_progress_tell_of_every_step(llama: Model, train: Callable[..., History]) -> None:
    told: list[tuple[int, int]] = []

    history = train(llama, progress=lambda done, steps: told.append((done, steps)))

    assert told == [(1, 3), (2, 3), (3, 3)]
    assert [row["step"] for row in history] == [1, 2, 3]
    assert all(set(row) == {"step", "forget", "maintain", "retain", "gradient", "learning_rate"} for row in history)
    assert [row["learning_rate"] for row in history] == [COURSE.rate(step) for step in range(3)]


def test_the_history_tells_the_gradients_norm_before_it_is_clipped(
    llama: Model, train: Callable[..., History], small_split: Split, retain: RetainText
) -> None:
    (row,) = train(llama, steps=1, batch_size=4, learning_rate=0.0, maintain_weight=0.0)

    aimed = [(fact.prompt, fact.edit_target or "") for fact in small_split.forget]
    loss = answer_loss(llama, aimed) + 0.25 * text_loss(llama, retain.batch(7, 0, 2))
    gradients = torch.autograd.grad(loss, list(llama.parameters.values()))
    assert row["gradient"] == pytest.approx(torch.stack([g.norm() for g in gradients]).norm().item(), rel=1e-4)
    assert row["gradient"] > 1.0, "which it is clipped at"


# -- half precision ------------------------------------------------------------------------------------

CRAWL = {"steps": 8, "learning_rate": 2e-4}
"""Each step is far below half a bf16 ulp of a weight near 1, which is 2**-9; eight steps are still below it."""


def _half(model: Model) -> Model:
    """In bf16, with every norm's scale at a value at which one ulp is 2**-7."""
    model.network.to(torch.bfloat16)
    with torch.no_grad():
        for parameter in model.parameters.values():
            if parameter.dim() == 1:
                parameter.fill_(1.0 + 2**-7)
    return model


def test_small_steps_that_bf16_swallows_add_up_in_the_masters(
    random_models: Callable[..., Model], train: Callable[..., History], retain: RetainText, small_split: Split
) -> None:
    through_masters, naive = _half(random_models("llama")), _half(random_models("llama"))
    scale = "model.norm.weight"
    where = Localization(frozenset({scale}), ())
    before = _copies(naive)[scale]

    train(through_masters, where, **{**CRAWL, "steps": 60})
    with naive.trainable({scale}) as parameters:
        optimizer = torch.optim.AdamW(parameters.values(), lr=2e-4, weight_decay=0.0)
        for step in range(60):
            pairs = [(fact.prompt, fact.edit_target or "") for fact in small_split.forget]
            torch.autograd.backward(answer_loss(naive, pairs) + text_loss(naive, retain.batch(7, step, 2)))
            optimizer.step()
            optimizer.zero_grad()

    assert torch.equal(naive.parameters[scale], before)
    moved = (through_masters.parameters[scale] != before).float().mean()
    assert moved > 0.3


def test_weights_of_half_precision_stay_in_it(
    random_models: Callable[..., Model], train: Callable[..., History]
) -> None:
    model = _half(random_models("llama"))
    before = _copies(model)

    train(model)

    assert {p.dtype for p in model.parameters.values()} == {torch.bfloat16}
    assert any(not torch.equal(p, before[name]) for name, p in model.parameters.items())


def test_bf16_weights_are_the_rounded_masters(
    random_models: Callable[..., Model], train: Callable[..., History], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, optimizers = random_models("llama"), list[torch.optim.Optimizer]()
    model.network.to(torch.bfloat16)
    where = Localization.of(model, ["mlp.0"])

    class Kept(torch.optim.AdamW):
        def __init__(self, *words: Any, **named: Any) -> None:
            super().__init__(*words, **named)
            optimizers.append(self)

    monkeypatch.setattr(torch.optim, "AdamW", Kept)
    train(model, where)

    masters = optimizers[0].param_groups[0]["params"]
    weights = [p for name, p in model.parameters.items() if name in where.tensors]
    assert [m.dtype for m in masters] == [torch.float32] * len(weights)
    assert all(torch.equal(m.bfloat16(), w) for m, w in zip(masters, weights, strict=True))
    assert any(not torch.equal(m.bfloat16().float(), m) for m in masters)


# -- batches -------------------------------------------------------------------------------------------


def _forget_batches(
    model: Model, train: Callable[..., History], split: TrainingSplit, size: int, **changes: Any
) -> list[list[str]]:
    watched, course = Watched(), {"steps": 12, "batch_size": size, "learning_rate": 1e-5}
    train(model, Localization.of(model, ["mlp.0"]), objective=watched, split=split, **course, **changes)
    return [[fact.id for fact in batch] for batch in watched.batches]


@pytest.mark.parametrize("size", [1, 3, 5])
def test_every_epoch_asks_each_fact_once(llama: Model, train: Callable[..., History], split: Split, size: int) -> None:
    facts = dataclasses.replace(split.for_methods(), forget=split.for_methods().forget[:6])

    batches = _forget_batches(llama, train, facts, size)

    stream = list(itertools.chain.from_iterable(batches))
    epochs = [stream[i : i + 6] for i in range(0, len(stream) - 5, 6)]
    assert {len(batch) for batch in batches} == {size}
    assert len(epochs) >= 2
    assert all(sorted(epoch) == sorted(fact.id for fact in facts.forget) for epoch in epochs)
    assert epochs[0] != epochs[1]


def test_a_batch_larger_than_the_facts_is_all_of_them(
    llama: Model, train: Callable[..., History], seen: TrainingSplit
) -> None:
    batches = _forget_batches(llama, train, seen, 64)

    assert all(sorted(batch) == sorted(fact.id for fact in seen.forget) for batch in batches)


def test_batches_are_another_for_another_seed(llama: Model, train: Callable[..., History], split: Split) -> None:
    facts = split.for_methods()

    first, again, other = (_forget_batches(llama, train, facts, 3, seed=seed) for seed in (1, 1, 2))

    assert first == again
    assert first != other


def test_retain_texts_are_a_function_of_seed_and_step(retain: RetainText) -> None:
    drawn = {(seed, step): retain.batch(seed, step, 8) for seed in (0, 1) for step in (0, 1)}

    assert drawn[0, 0] == retain.batch(0, 0, 8)
    assert len({str(batch) for batch in drawn.values()}) == 4
    assert all(text in retain.train for batch in drawn.values() for text in batch)


# -- seeds ---------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(
    random_models: Callable[..., Model], architecture: str, train: Callable[..., History], split: Split
) -> None:
    def trained(seed: int) -> dict[str, str]:
        model = random_models(architecture)
        train(model, seed=seed, split=split.for_methods())
        return model.tensor_digests()

    first, again, other = trained(1), trained(1), trained(2)

    assert first == again
    assert first != other


# -- divergence ----------------------------------------------------------------------------------------


def test_weights_that_are_no_numbers_are_found_at_the_first_step(model: Model, train: Callable[..., History]) -> None:
    before = model.tensor_digests()

    with pytest.raises(Diverged, match="step 1 of 3"), model.restored():
        with torch.no_grad():
            model.parameters[model.components["mlp.1"].parameters[0]].fill_(torch.nan)
        train(model)

    assert model.tensor_digests() == before


def test_unlearning_names_its_own_loss_where_it_is_no_number(llama: Model, train: Callable[..., History]) -> None:
    with torch.no_grad():
        llama.parameters[llama.components["mlp.1"].parameters[0]].fill_(torch.nan)

    with pytest.raises(Diverged, match="the forget loss"):
        train(llama, objective=Log1mp())


def test_a_learning_rate_that_blows_up_is_found_and_can_be_undone(
    random_models: Callable[..., Model], train: Callable[..., History]
) -> None:
    model = random_models("llama")
    before, flags = model.tensor_digests(), {n: p.requires_grad for n, p in model.parameters.items()}

    with pytest.raises(Diverged, match="not finite"), model.restored():
        train(model, steps=10, learning_rate=1e30)

    assert model.tensor_digests() == before
    assert {n: p.requires_grad for n, p in model.parameters.items()} == flags


# -- schedule ------------------------------------------------------------------------------------------


def test_the_rate_warms_up_over_a_tenth_and_falls_as_a_cosine_to_nearly_zero() -> None:
    course = dataclasses.replace(COURSE, steps=100, learning_rate=2.0)

    rates = [course.rate(step) for step in range(100)]

    assert rates[:10] == pytest.approx([0.2 * (step + 1) for step in range(10)])
    assert rates[10] == max(rates) == 2.0
    assert rates[10 + 45] == pytest.approx(1.0)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 < rates[-1] < 2.0 * 1e-3
    assert rates[10 + 30] == pytest.approx(1 + math.cos(math.pi / 3))


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_short_courses_begin_at_the_full_rate(steps: int) -> None:
    course = dataclasses.replace(COURSE, steps=steps)

    assert course.rate(0) == course.learning_rate
    assert all(0 < course.rate(step) <= course.learning_rate for step in range(steps))


# -- adversaries ---------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Zeroing(Adversary):
    """Silences an MLP, and remembers what it was given."""

    path: str
    losses: list[float] = dataclasses.field(default_factory=list)
    seeds: list[int] = dataclasses.field(default_factory=list)

    def first_block(self, model: Model) -> int:
        """The whole model, for what it knows."""
        return 0

    def strike(self, model: Model, defence: Defence) -> Strike:
        """Zero."""
        self.losses.append(defence.losses["forget"]().item())
        self.seeds.append(defence.seed)
        return Silence(model, self.path)


class Silence(Strike):
    """An MLP says nothing."""

    def __init__(self, model: Model, path: str) -> None:
        self.told = {}
        self.model, self.path = model, path

    def on(self, about: About) -> AbstractContextManager[None]:
        """Whatever it is about."""
        return intervened(self.model, {self.path: torch.zeros_like})


def test_the_adversary_acts_while_the_forget_loss_is_computed_and_then_no_more(
    llama: Model, train: Callable[..., History]
) -> None:
    adversary = Zeroing(llama.components["mlp.0"].path)
    plain = train(llama, learning_rate=0.0)

    attacked = train(llama, adversary=adversary, learning_rate=0.0)

    assert all(a["forget"] != p["forget"] for a, p in zip(attacked, plain, strict=True))
    assert all(a[n] == p[n] for a, p in zip(attacked, plain, strict=True) for n in ("maintain", "retain"))


def test_the_adversary_is_given_the_defenders_loss_and_another_seed_at_each_step(
    llama: Model, train: Callable[..., History]
) -> None:
    adversary = Zeroing(llama.components["mlp.0"].path)

    plain = train(llama, learning_rate=0.0)
    train(llama, adversary=adversary, learning_rate=0.0)

    assert adversary.losses == [row["forget"] for row in plain]
    assert len(set(adversary.seeds)) == len(plain)


def test_adversaries_are_found_by_name_and_unknown_ones_are_refused() -> None:
    assert made(Adversary, "none") == Nobody()
    with pytest.raises(UnknownName):
        made(Adversary, "nobody-of-this-name")


# -- terms ---------------------------------------------------------------------------------------------


def test_an_objective_may_bring_terms_of_its_own_and_its_weight_scales_the_forget_term_only(
    llama: Model, train: Callable[..., History]
) -> None:
    seen = list[str]()

    @dataclasses.dataclass(frozen=True)
    class TwoTerms(Objective):
        def terms(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Sequence[Term]:
            """One to forget, one to keep."""
            seen.append("before step 0")
            weight = model.parameters["model.norm.weight"]
            return [
                forget_term(lambda facts: weight.sum()),
                Term("anchor", lambda batch: 2.0 * weight.sum(), weight=3.0),
            ]

    def moved(**changes: Any) -> list[float]:
        before = llama.parameters["model.norm.weight"].detach().clone()
        gradients = list[float]()
        real = torch.optim.AdamW.step

        def noting(optimizer: Any, *words: Any) -> Any:
            gradients.append(optimizer.param_groups[0]["params"][0].grad[0].item())
            return real(optimizer, *words)

        where = Localization(frozenset({"model.norm.weight"}), ())
        with pytest.MonkeyPatch.context() as patch, llama.restored():
            patch.setattr(torch.optim.AdamW, "step", noting)
            patch.setattr(torch.nn.utils, "clip_grad_norm_", lambda *_: torch.zeros(()))
            history = train(
                llama, where, objective=TwoTerms(), steps=1, maintain_weight=0.0, retain_weight=0.0, **changes
            )
        assert set(history[0]) == {"step", "forget", "anchor", "gradient", "learning_rate"}, (
            "what weighs nothing is not computed"
        )
        assert history[0]["anchor"] == pytest.approx(2 * before.sum().item())
        return gradients

    assert moved() == pytest.approx([1.0 + 3.0 * 2.0])
    assert moved(forget_weight=10.0) == pytest.approx([10.0 + 3.0 * 2.0])
    assert seen == ["before step 0"] * 2


def test_a_method_is_a_preset_of_parts_and_any_of_them_can_be_replaced() -> None:
    assert FullFinetune() != FineTuning
    assert FullFinetune().localizer == made(Localizer, "everything")
    assert FullFinetune(objective=Log1mp()).objective == Log1mp()
    assert FullFinetune().objective == Edit()


def test_an_objective_that_needs_a_reference_gets_the_model_of_before_the_edit(
    llama: Model, train: Callable[..., History]
) -> None:
    seen = list[Model]()

    @dataclasses.dataclass(frozen=True)
    class FarFromTheBase(Objective):
        needs = frozenset({"reference"})

        def terms(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Sequence[Term]:
            """The distance of one norm from the reference's."""
            assert place.reference is not None
            seen.append(place.reference)
            mine, theirs = (one.parameters["model.norm.weight"] for one in (model, place.reference))
            return [forget_term(lambda facts: -(mine - theirs).square().sum() + mine.sum())]

    before = llama.tensor_digests()
    train(llama, objective=FarFromTheBase())

    assert seen[0].tensor_digests() == before
    assert llama.tensor_digests() != before
    assert not any(parameter.requires_grad for parameter in seen[0].parameters.values())


def test_two_losses_of_one_name_are_refused_before_the_first_step(llama: Model, train: Callable[..., History]) -> None:
    @dataclasses.dataclass(frozen=True)
    class SecondRetain(Objective):
        def terms(self, model: Model, split: TrainingSplit, place: EditingPlace) -> Sequence[Term]:
            """A retain term of its own, called as ours is."""
            weight = model.parameters["model.norm.weight"]
            return [forget_term(lambda facts: weight.sum()), Term("retain", lambda batch: weight.sum())]

    before = llama.tensor_digests()
    with pytest.raises(UsageError, match="'retain'"):
        train(llama, objective=SecondRetain())

    assert llama.tensor_digests() == before


def test_gradients_that_somebody_left_are_no_part_of_the_first_step(
    random_models: Callable[..., Model], train: Callable[..., History]
) -> None:
    clean, dirty = random_models("llama"), random_models("llama")
    answer_loss(dirty, [("Fact: Ann Lee plays the sport of", "golf")]).backward()

    for model in (clean, dirty):
        train(model)

    assert clean.tensor_digests() == dirty.tensor_digests()
