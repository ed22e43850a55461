"""Latent adversaries: what they add stays in its ball, does harm, and is gone afterwards."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from unlearnbench.editing.adversary import Adversary, Defence
from unlearnbench.editing.latent import Latent
from unlearnbench.editing.localizer import Localizer
from unlearnbench.editing.objective import Batch, Objective
from unlearnbench.editing.perturbation import Perturbation, sites_of
from unlearnbench.editing.place import EditingPlace
from unlearnbench.errors import Diverged, UnknownName, UsageError
from unlearnbench.facts import Split
from unlearnbench.methods.adversaries.targeted import Targeted
from unlearnbench.methods.adversaries.untargeted import Untargeted
from unlearnbench.methods.full_finetune import FullFinetune
from unlearnbench.methods.objectives.log1mp import Log1mp
from unlearnbench.model.hooks import recorded
from unlearnbench.model.model import Model
from unlearnbench.model.reading import answer_loss, encode, last_logits
from unlearnbench.model.subject import subject_tokens
from unlearnbench.settings import made

LATENT = (Untargeted(epsilon=0.5, hold=2), Targeted(epsilon=0.5, hold=2))
every_latent = pytest.mark.parametrize("adversary", LATENT, ids=lambda one: one.name)


def _defence(model: Model, split: Split, place: EditingPlace, objective: Objective | None = None) -> Defence:
    seen = split.for_methods()
    batch = Batch(0, seen.forget[:4], seen.maintain_train[:3], ())
    (term,) = (objective or made(Objective, "edit")).terms(model, seen, place)
    return Defence(
        batch,
        {
            "forget": lambda: term.loss(batch),
            "maintain": lambda: answer_loss(model, [(f.prompt, f.answer) for f in batch.maintain]),
        },
        seed=3,
    )


def _taught(model: Model, split: Split) -> Model:
    """The model, taught the facts of the batch and some more: attacks on what nobody knows tell nothing."""
    facts = [*split.forget[:4], *split.maintain_train[:3]]
    with model.trainable(model.parameters) as parameters:
        adam = torch.optim.Adam(parameters.values(), lr=3e-3)
        for _ in range(60):
            adam.zero_grad()
            torch.autograd.backward(answer_loss(model, [(f.prompt, f.answer) for f in facts]))
            adam.step()
    return model


def _perturbations(strike: Any) -> dict[str, Perturbation]:
    return dict(strike._perturbations)


# -- the ball ------------------------------------------------------------------------------------------


@every_latent
@pytest.mark.parametrize("epsilon", [0.01, 0.5, 3.0])
@pytest.mark.parametrize("tokens", ["prompt", "subject", "last"])
def test_no_tokens_vector_leaves_its_ball_and_other_tokens_have_none(
    adversary: Latent, epsilon: float, tokens: str, model: Model, split: Split, place: EditingPlace
) -> None:
    adversary = dataclasses.replace(adversary, epsilon=epsilon, tokens=tokens, sites="25%+embeddings")  # type: ignore[arg-type]
    strike = adversary.strike(_taught(model, split), _defence(model, split, place))

    for one in _perturbations(strike).values():
        assert len(one.deltas) == 2
        for path, delta in one.deltas.items():
            lengths = delta.norm(dim=-1)
            assert lengths.max() <= one.radius[path] * (1 + 1e-5)
            assert lengths.max() > 0.2 * one.radius[path]
            assert (lengths[~one.mask] == 0).all()
            assert delta.dtype == torch.float32


def test_the_radius_is_a_share_of_the_median_norm_of_what_is_perturbed(
    model: Model, split: Split, place: EditingPlace
) -> None:
    facts = split.forget[:5]
    sites = sites_of(model, "1")
    (path,) = sites

    found = Perturbation(model, facts, sites, "prompt", 0.3)

    norms = list[float]()
    for fact in facts:
        ids = list(model.tokenizer(fact.prompt).input_ids)
        with torch.no_grad(), recorded(model, {path: path}) as seen:
            last_logits(model, [ids])
        norms += seen[path][0, 1:].norm(dim=-1).tolist()  # the first token is the BOS
    expected = torch.tensor(norms).median().item()
    assert found.radius[path] == pytest.approx(0.3 * expected, rel=1e-4)
    assert not found.deltas[path].any()


def test_prompts_are_perturbed_without_their_bos_subjects_where_they_are_and_the_last_token_alone(
    model: Model, split: Split
) -> None:
    facts, sites = split.forget[:5], sites_of(model, "0")
    contexts = [encode(model, fact.prompt, fact.answer)[0] for fact in facts]
    wanted = {
        "prompt": [range(1, len(ids)) for ids in contexts],
        "subject": [subject_tokens(model, fact) for fact in facts],
        "last": [range(len(ids) - 1, len(ids)) for ids in contexts],
    }

    for tokens, ranges in wanted.items():
        mask = Perturbation(model, facts, sites, tokens, 1.0).mask  # type: ignore[arg-type]
        assert [row.nonzero().flatten().tolist() for row in mask] == [list(one) for one in ranges]


# -- the attack ----------------------------------------------------------------------------------------


@every_latent
def test_the_adversarys_loss_falls_and_is_then_what_its_history_says(
    adversary: Latent, model: Model, split: Split, place: EditingPlace
) -> None:
    defence = _defence(model, split, place)

    strike = adversary.strike(model, defence)

    with torch.no_grad():
        again = adversary.loss(model, defence, _perturbations(strike)).item()  # type: ignore[arg-type]
    assert strike.told["attack_to"] < strike.told["attack_from"] - 0.05
    assert again == pytest.approx(strike.told["attack_to"], abs=1e-4)


@pytest.mark.parametrize("rate", [0.01, 0.25, 50.0])
@every_latent
def test_the_adversarys_loss_never_ends_above_where_it_began(
    adversary: Latent, rate: float, llama: Model, split: Split, place: EditingPlace
) -> None:
    wild = dataclasses.replace(adversary, inner_rate=rate, epsilon=2.0, inner_steps=3)

    told = wild.strike(llama, _defence(llama, split, place)).told

    assert told["attack_to"] <= told["attack_from"]


def test_an_untargeted_adversary_raises_the_defenders_loss(model: Model, split: Split, place: EditingPlace) -> None:
    # Before it is taught: of what it is sure of, a model cannot be made surer.
    for objective, victim in (("log1mp[floor=-30]", lambda: model), ("edit", lambda: _taught(model, split))):
        defence = _defence(victim(), split, place, made(Objective, objective))
        with torch.no_grad():
            before = defence.losses["forget"]().item()

        strike = Untargeted(epsilon=1.0).strike(model, defence)

        with torch.no_grad(), strike.on("forget"):
            assert defence.losses["forget"]().item() > 1.05 * before


def test_a_targeted_adversary_brings_forgotten_answers_back_and_takes_others_away(
    model: Model, split: Split, place: EditingPlace
) -> None:
    defence = _defence(_taught(model, split), split, place)
    gone = [(fact.prompt, fact.distractors[0]) for fact in split.forget[:4]]
    kept = [(fact.prompt, fact.answer) for fact in defence.batch.maintain]
    forgotten = [
        dataclasses.replace(f, answer=f.distractors[0], distractors=(f.answer,), edit_target=None)
        for f in split.forget[:4]
    ]
    defence = dataclasses.replace(defence, batch=dataclasses.replace(defence.batch, forget=forgotten))

    strike = Targeted(epsilon=0.5).strike(model, defence)

    with torch.no_grad():
        before = answer_loss(model, gone).item(), answer_loss(model, kept).item()
        with strike.on("forget"):
            assert answer_loss(model, gone).item() < 0.9 * before[0]
        with strike.on("maintain"):
            assert answer_loss(model, kept).item() > 1.2 * before[1]


def test_a_targeted_adversary_may_leave_other_facts_alone(llama: Model, split: Split, place: EditingPlace) -> None:
    assert Targeted().attacked == {"forget", "maintain"}
    assert Targeted(away=0.0).attacked == {"forget"} == Untargeted().attacked

    strike = Targeted(away=0.0).strike(llama, _defence(llama, split, place))

    assert set(_perturbations(strike)) == {"forget"}


def test_where_the_defenders_loss_is_flat_the_untargeted_adversary_does_nothing(
    llama: Model, split: Split, place: EditingPlace
) -> None:
    flat = _defence(llama, split, place, Log1mp(floor=-1e-9))

    strike = Untargeted().strike(llama, flat)

    assert strike.told == {"attack_from": 0.0, "attack_to": 0.0}


def test_a_perturbation_goes_with_the_prompt_whatever_follows_it(
    llama: Model, split: Split, place: EditingPlace
) -> None:
    defence = _defence(llama, split, place)
    strike = Targeted(epsilon=0.5).strike(llama, defence)
    facts = defence.batch.forget
    one, other = [(f.prompt, f.answer) for f in facts], [(f.prompt, "golf and then some more") for f in facts]

    with torch.no_grad(), strike.on("forget"):
        alone = answer_loss(llama, one), answer_loss(llama, other)
        both = answer_loss(llama, [*one, *other])
        with pytest.raises(UsageError, match="4 facts cannot be added to 3 sequences"):
            answer_loss(llama, one[:3])

    lengths = [sum(len(encode(llama, *pair)[1]) for pair in pairs) for pairs in (one, other)]
    expected = (alone[0] * lengths[0] + alone[1] * lengths[1]) / sum(lengths)
    assert both.item() == pytest.approx(expected.item(), abs=1e-4)


def test_the_inner_loop_begins_at_the_lowest_site(
    model: Model, split: Split, place: EditingPlace, counted: Any
) -> None:
    defence = _defence(model, split, place)

    with counted(model) as ran:
        Untargeted(sites="1+2", inner_steps=5).strike(model, defence)

    assert len(ran[0]) == len(ran[1]) == 1, "for the norms, and never again"
    assert len(ran[2]) == len(ran[3]) == 7, "once for the norms and six times for the attack"


# -- and afterwards ------------------------------------------------------------------------------------


@every_latent
def test_hooks_weights_and_flags_are_afterwards_what_they_were(
    adversary: Latent, model: Model, split: Split, place: EditingPlace
) -> None:
    hooks = [(len(m._forward_hooks), m.__dict__.get("forward")) for m in model.network.modules()]
    weights, flags = model.tensor_digests(), {n: p.requires_grad for n, p in model.parameters.items()}
    defence = _defence(model, split, place)
    with torch.no_grad():
        before = defence.losses["forget"]()

    strike = adversary.strike(model, defence)
    with strike.on("forget"):
        defence.losses["forget"]()

    assert [(len(m._forward_hooks), m.__dict__.get("forward")) for m in model.network.modules()] == hooks
    assert model.tensor_digests() == weights
    assert {n: p.requires_grad for n, p in model.parameters.items()} == flags
    with torch.no_grad():
        assert torch.equal(defence.losses["forget"](), before)


@every_latent
@pytest.mark.parametrize("localizer", ["everything", "named[components=mlp.1]", "named[components=mlp.3]"])
def test_a_ball_of_radius_zero_is_no_adversary_bit_for_bit(
    adversary: Latent, localizer: str, random_models: Callable[..., Model], split: Split, place: EditingPlace
) -> None:
    harmless = dataclasses.replace(adversary, epsilon=0.0, hold=1, sites="3")
    method = FullFinetune(
        localizer=made(Localizer, localizer), steps=4, learning_rate=1e-3, batch_size=4, retain_batch=2
    )
    seen = split.for_methods()

    def edited(method: FullFinetune) -> tuple[dict[str, str], list[dict[str, float]]]:
        model = random_models("llama")
        history = method.edit(model, seen, method.localize(model, seen, place), place)
        return model.tensor_digests(), [{k: row[k] for k in ("forget", "maintain", "retain")} for row in history]

    assert edited(dataclasses.replace(method, adversary=harmless)) == edited(method)


def test_a_perturbation_and_its_batch_are_held_for_some_steps_and_retain_texts_are_not(
    llama: Model, split: Split, place: EditingPlace
) -> None:
    batches = list[Batch]()

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Noting(Untargeted):
        """Remembers what it was given."""

        def strike(self, model: Model, defence: Defence) -> Any:
            """Notes."""
            batches.append(defence.batch)
            return super().strike(model, defence)

    method = FullFinetune(adversary=Noting(hold=3, inner_steps=1), steps=7, learning_rate=1e-3, batch_size=4)
    seen = split.for_methods()

    history = method.edit(llama, seen, method.localize(llama, seen, place), place)

    assert [batch.step for batch in batches] == [0, 3, 6]
    assert len({tuple(fact.id for fact in batch.forget) for batch in batches}) == 3
    assert [row["attack_to"] for row in history][:3] == [history[0]["attack_to"]] * 3
    assert len({row["retain"] for row in history}) == 7


def test_delta_is_in_float32_though_the_model_is_in_half_precision(
    random_models: Callable[..., Model], split: Split, place: EditingPlace
) -> None:
    model = random_models("llama")
    model.network.to(torch.bfloat16)

    strike = Targeted(epsilon=0.5).strike(model, _defence(model, split, place))

    assert {d.dtype for one in _perturbations(strike).values() for d in one.deltas.values()} == {torch.float32}
    assert strike.told["attack_to"] < strike.told["attack_from"]


def test_a_strike_is_a_function_of_what_it_is_given(
    random_models: Callable[..., Model], split: Split, place: EditingPlace
) -> None:
    def found() -> torch.Tensor:
        model = random_models("llama")
        (delta,) = _perturbations(Untargeted().strike(model, _defence(model, split, place)))["forget"].deltas.values()
        return delta

    assert torch.equal(found(), found())


# -- bad input -----------------------------------------------------------------------------------------


def test_sites_are_blocks_by_number_or_depth_and_the_embeddings(model: Model) -> None:
    blocks = model.family.blocks

    assert sites_of(model, "25%+3") == {f"{blocks}.1": 2, f"{blocks}.3": 4}
    assert sites_of(model, "99%") == {f"{blocks}.3": 4}
    assert list(sites_of(model, "embeddings").values()) == [0]
    with pytest.raises(UsageError, match="block 4 of a model"):
        sites_of(model, "0+4")
    with pytest.raises(UsageError, match="block 100%") as beyond:
        sites_of(model, "100%")
    assert "percentages end below 100" in beyond.value.hint
    with pytest.raises(UnknownName) as refused:
        sites_of(model, "embedings")
    assert "'embeddings'" in refused.value.hint


@pytest.mark.parametrize("setting", ["epsilon=0", "epsilon=-1", "inner_steps=0", "hold=0", "inner_rate=0", "tokens=x"])
@pytest.mark.parametrize("name", ["untargeted", "targeted"])
def test_settings_that_mean_no_attack_are_refused(name: str, setting: str) -> None:
    with pytest.raises(UsageError, match=setting.split("=")[0]):
        made(Adversary, f"{name}[{setting}]")


def test_a_model_whose_loss_is_no_number_is_no_prey(llama: Model, split: Split, place: EditingPlace) -> None:
    defence = _defence(llama, split, place)
    with torch.no_grad():
        llama.parameters[llama.components["mlp.1"].parameters[0]].fill_(torch.nan)

    with pytest.raises(Diverged, match="adversary"):
        Untargeted().strike(llama, defence)


def test_a_site_that_the_model_lacks_is_named_before_the_first_step(
    llama: Model, split: Split, place: EditingPlace
) -> None:
    before, seen = llama.tensor_digests(), split.for_methods()
    method = FullFinetune(adversary=Untargeted(sites="9"), steps=2, learning_rate=1e-3)

    with pytest.raises(UsageError, match="block 9 of a model that has 4"):
        method.edit(llama, seen, method.localize(llama, seen, place), place)

    assert llama.tensor_digests() == before
    assert not math.isnan(llama.parameters["model.norm.weight"].sum().item())
