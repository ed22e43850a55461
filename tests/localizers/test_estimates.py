"""What each estimate must be where the truth is known without it."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from unlearnbench.errors import UsageError
from unlearnbench.facts import Fact, Split
from unlearnbench.locating.contrast import Pairs, pairs_of
from unlearnbench.locating.lookup import best, look_up
from unlearnbench.locating.patching import attribution_effects, exact_effects, middles
from unlearnbench.locating.pruning import pruning_effects
from unlearnbench.locating.relevance import linearized
from unlearnbench.locating.tracing import neighbours, tracing_effects
from unlearnbench.methods.localizers.layers import blocks_of
from unlearnbench.methods.localizers.probe_rise import rises
from unlearnbench.model.heads import head_count, head_mixers, heads_changed, heads_tapped
from unlearnbench.model.hooks import intervened, tap
from unlearnbench.model.model import Model
from unlearnbench.model.reading import last_logits
from unlearnbench.model.subject import subject_tokens


@pytest.fixture
def pairs(model: Model, split: Split) -> Pairs:
    """Eight facts of every architecture."""
    return pairs_of(model, split.for_methods(), 8, 0)


# -- pairs ---------------------------------------------------------------------------------------------


def test_a_pair_is_about_another_with_the_same_words_around_and_the_subject_in_the_same_place(
    model: Model, pairs: Pairs
) -> None:
    for fact, clean, corrupted, subject in zip(pairs.facts, pairs.clean, pairs.corrupted, pairs.subjects, strict=True):
        said = model.tokenizer.decode([clean[at] for at in subject]).strip()
        assert said == fact.subject
        assert clean[: subject.start] == corrupted[: subject.start]
        assert clean[subject.stop :] == corrupted[subject.stop :]
        assert clean != corrupted


def test_a_subject_that_the_prompt_does_not_say_is_refused(llama: Model) -> None:
    fact = Fact("Ada Cole", "sport", "Fact: she plays the sport of", "golf", ("tennis",))

    with pytest.raises(UsageError, match="its subject is not in its prompt"):
        subject_tokens(llama, fact)


def test_a_subject_whose_end_is_merged_with_what_follows_is_refused(llama: Model) -> None:
    fact = Fact("the spo", "sport", "Fact: Ada plays the sport of", "golf", ("tennis",))

    with pytest.raises(UsageError, match="merges the end of its subject"):
        subject_tokens(llama, fact)


def test_pairs_of_unequal_length_are_refused(llama: Model, split: Split) -> None:
    fact = split.forget[0]

    with pytest.raises(UsageError, match="its clean prompt has 3 tokens, its corrupted one 2"):
        Pairs([fact], [[1, 2, 3]], [[1, 2]], [range(1, 2)])


# -- exact patching ------------------------------------------------------------------------------------


def test_swapping_in_both_directions_is_one_for_the_last_component_of_a_model_without_a_final_norm(
    random_models: Callable[..., Model], split: Split
) -> None:
    model = random_models("gpt2")
    model.network.transformer.ln_f = nn.Identity()
    pairs = pairs_of(model, split.for_methods(), 8, 0)

    noising, denoising = (exact_effects(model, pairs, direction)["mlp.3"] for direction in ("noising", "denoising"))

    torch.testing.assert_close(noising, denoising, atol=1e-4, rtol=1e-4)
    assert noising.abs().max() > 1e-3


def test_the_first_order_estimate_at_one_point_is_taken_at_the_clean_prompt(model: Model, pairs: Pairs) -> None:
    assert middles(1) == [0.0]
    assert middles(4) == [0.125, 0.375, 0.625, 0.875]
    exact = exact_effects(model, pairs, "noising")

    one, many = (attribution_effects(model, pairs, points) for points in (1, 20))

    def miss(found: dict[str, torch.Tensor]) -> float:
        return sum((found[name] - exact[name]).abs().sum().item() for name in exact)

    assert miss(many) != miss(one)


# -- heads ---------------------------------------------------------------------------------------------


def test_heads_cut_into_pieces_are_what_the_projection_reads(model: Model, pairs: Pairs) -> None:
    whole = last_logits(model, pairs.clean)

    mixers = head_mixers(model)
    with (
        heads_tapped(model, mixers) as seen,
        heads_changed(model, mixers, dict.fromkeys(range(model.blocks), torch.clone)),
    ):
        assert torch.equal(last_logits(model, pairs.clean), whole)

    assert set(seen) == set(range(model.blocks))
    assert all(heads.shape[2] == head_count(model) for heads in seen.values())


def test_without_its_heads_an_attention_says_nothing_but_its_bias(model: Model, pairs: Pairs) -> None:
    with torch.no_grad(), heads_changed(model, head_mixers(model), {0: torch.zeros_like}), tap(model) as seen:
        last_logits(model, pairs.clean)

    bias = getattr(model.network.get_submodule(head_mixers(model)[0]), "bias", None)
    expected = torch.zeros_like(seen["attention.0"]) if bias is None else bias.expand_as(seen["attention.0"])
    assert torch.equal(seen["attention.0"], expected)


# -- fact look-up --------------------------------------------------------------------------------------


def test_what_no_head_can_read_any_more_looks_nothing_up(model: Model, pairs: Pairs) -> None:
    found = look_up(model, pairs, 2, 0.8)

    assert torch.equal(found.mlps["mlp.3"], torch.zeros(len(pairs.facts))), "no block is left to read the last MLP"


def test_an_mlp_before_the_only_extracting_block_is_felt_and_one_after_it_is_not(model: Model, pairs: Pairs) -> None:
    found = look_up(model, pairs, 1, 1e-9)  # the one best head

    ((block, _),) = found.extracting.nonzero().tolist()
    for name, effect in found.mlps.items():
        assert (effect.abs().max().item() > 0) is (int(name.partition(".")[2]) < block)


def test_the_best_heads_are_the_fewest_with_the_share() -> None:
    effects = torch.tensor([[4.0, -9.0], [3.0, 1.0]])

    assert best(effects, 0.5).tolist() == [[True, False], [False, False]]
    assert best(effects, 0.6).tolist() == [[True, False], [True, False]]
    assert best(effects, 1.0).tolist() == [[True, False], [True, True]]
    assert not best(-effects.abs(), 0.5).any()


# -- causal tracing ------------------------------------------------------------------------------------


def test_without_noise_nothing_has_to_come_back(model: Model, pairs: Pairs) -> None:
    found = tracing_effects(model, pairs, noise=1e-12, draws=2, window=1, seed=0)

    assert all(effect.abs().max() < 1e-5 for effect in found.values())


def test_noise_is_a_function_of_the_seed(llama: Model, split: Split) -> None:
    pairs = pairs_of(llama, split.for_methods(), 4, 0)

    first, again, other = (
        tracing_effects(llama, pairs, noise=3.0, draws=2, window=1, seed=seed)["mlp.1"] for seed in (0, 0, 1)
    )

    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_window_is_centred_and_ends_where_the_blocks_do(llama: Model) -> None:
    assert neighbours(llama, "mlp.1", 1) == ["mlp.1"]
    assert neighbours(llama, "mlp.1", 3) == ["mlp.0", "mlp.1", "mlp.2"]
    assert neighbours(llama, "attention.3", 3) == ["attention.2", "attention.3"]


# -- pruning -------------------------------------------------------------------------------------------


def test_when_everything_is_pruned_the_rises_add_up_to_the_whole_divergence(model: Model, pairs: Pairs) -> None:
    found = pruning_effects(model, pairs, 1e9)

    with torch.no_grad():
        whole = last_logits(model, pairs.clean).log_softmax(-1)
        with tap(model) as seen:
            last_logits(model, pairs.corrupted)
            corrupted = dict(seen)
        changes = {part.path: (lambda _, new=corrupted[name]: new) for name, part in model.components.items()}
        with intervened(model, changes):  # type: ignore[arg-type]
            pruned = last_logits(model, pairs.clean).log_softmax(-1)
    expected = (whole.exp() * (whole - pruned)).sum(-1)
    torch.testing.assert_close(torch.stack(list(found.values())).sum(0), expected, atol=1e-4, rtol=1e-3)


# -- relevance -----------------------------------------------------------------------------------------


def test_holding_still_what_bends_changes_gradients_and_no_output(model: Model, pairs: Pairs) -> None:
    plain, whole = attribution_effects(model, pairs), last_logits(model, pairs.clean)

    with linearized(model):
        torch.testing.assert_close(last_logits(model, pairs.clean), whole, atol=1e-4, rtol=1e-4)
        held = attribution_effects(model, pairs)

    assert not torch.allclose(held["mlp.0"], plain["mlp.0"], atol=1e-3)
    assert torch.equal(last_logits(model, pairs.clean), whole), "and afterwards all is as before"


def test_a_held_norm_divides_by_a_constant(random_models: Callable[..., Model]) -> None:
    stream, slope = torch.randn(2, 3, 32, requires_grad=True), torch.randn(2, 3, 32)
    rms, layer = random_models("llama"), random_models("gpt2")
    plain, centred = rms.network.model.norm, layer.network.transformer.ln_f
    with torch.no_grad():
        plain.weight.uniform_(0.5, 2.0)
        centred.weight.uniform_(0.5, 2.0)

    with linearized(rms), linearized(layer):
        (of_rms,) = torch.autograd.grad((plain(stream) * slope).sum(), stream)
        (of_layer,) = torch.autograd.grad((centred(stream) * slope).sum(), stream)

    size = (stream.square().mean(-1, keepdim=True) + plain.variance_epsilon).sqrt()
    torch.testing.assert_close(of_rms, slope * plain.weight / size)
    weighed = slope * centred.weight / (stream.var(-1, unbiased=False, keepdim=True) + centred.eps).sqrt()
    torch.testing.assert_close(of_layer, weighed - weighed.mean(-1, keepdim=True), atol=1e-5, rtol=1e-4)


def test_a_held_gated_mlp_shares_between_gate_and_value_and_multiplies_by_constants(llama: Model) -> None:
    mlp, stream = llama.network.get_submodule(llama.components["mlp.0"].path), torch.randn(2, 3, 32, requires_grad=True)

    with linearized(llama):
        said = mlp(stream)
        (slope,) = torch.autograd.grad(said.sum(), stream)

    # Homogeneous of degree one with half to each side: what it reads times its slope is what it says.
    torch.testing.assert_close((stream * slope).sum(), said.sum(), atol=1e-4, rtol=1e-4)


# -- ranges and rises ----------------------------------------------------------------------------------


def test_ranges_of_blocks_are_read_and_wrong_ones_refused(llama: Model) -> None:
    assert blocks_of(llama, "1-3") == [1, 2, 3]
    assert blocks_of(llama, "3+0-1") == [0, 1, 3]
    assert blocks_of(llama, "25%-75%") == [1, 2, 3]
    for wrong in ("3-2", "gemma", "1-", "", "2-4", "gemma-2-9b-sports", "75%-25%", "100%"):
        with pytest.raises(UsageError):
            blocks_of(llama, wrong)


def test_a_probe_rises_up_to_the_plateau_and_not_beyond() -> None:
    assert rises([0.2, 0.2, 0.6, 0.97, 1.0, 0.9], 0.95) == pytest.approx([0.0, 0.4, 0.37, 0.0, 0.0])
    assert rises([1.0, 0.5, 1.0], 0.95) == [0.0, 0.0]
