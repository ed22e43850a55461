"""The model wrapper: reading logits, naming components, and putting back whatever was changed."""

from collections.abc import Callable

import pytest
import torch
from tokenizers import Tokenizer, models
from torch import Tensor
from transformers import AutoModelForCausalLM, OPTConfig, PreTrainedTokenizerFast

from unlearnbench.errors import UsageError
from unlearnbench.model.families import family_of
from unlearnbench.model.hooks import intervened, tap
from unlearnbench.model.model import Model
from unlearnbench.model.reading import encode, logits_at

SEQUENCES = [[0, 300, 301, 302, 303, 304, 305, 306, 307, 308], [0, 400, 401], [0, 500, 501, 502, 503, 504]]
FAMILY_OF = {"gemma2": "llama", "llama": "llama", "qwen2": "llama", "gpt2": "gpt2", "gpt_neox": "gpt_neox"}


def _plain(model: Model, sequence: list[int]) -> Tensor:
    """Logits [tokens, vocabulary] of one sequence alone, by the network itself."""
    with torch.no_grad():
        logits: Tensor = model.network(input_ids=torch.tensor([sequence])).logits[0]
    return logits


def _flags(model: Model) -> dict[str, bool]:
    return {name: parameter.requires_grad for name, parameter in model.parameters.items()}


def _hooks(model: Model) -> int:
    modules = model.network.modules()
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in modules)


def _last_logits(model: Model) -> Tensor:
    return logits_at(model, SEQUENCES, [0, 1, 2], [len(ids) - 1 for ids in SEQUENCES])


# -- reading -------------------------------------------------------------------------------------------


def test_logits_at_places_are_those_of_the_plain_forward(model: Model) -> None:
    rows, columns = [2, 0, 0, 1, 0], [5, 9, 0, 2, 4]

    found = logits_at(model, SEQUENCES, rows, columns)

    expected = torch.stack([_plain(model, SEQUENCES[r])[c] for r, c in zip(rows, columns, strict=True)])
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_logits_of_gemma_2_are_soft_capped(random_models: Callable[..., Model]) -> None:
    model = random_models("gemma2")
    cap = model.network.config.final_logit_softcapping

    capped = _last_logits(model)
    model.network.config.final_logit_softcapping = None
    free = _last_logits(model)

    assert free.abs().max() > cap
    torch.testing.assert_close(capped, cap * torch.tanh(free / cap))


def test_log_probs_do_not_depend_on_who_pads_them(model: Model) -> None:
    alone = logits_at(model, [SEQUENCES[1]], [0, 0], [1, 2]).log_softmax(-1)

    together = logits_at(model, SEQUENCES, [1, 1], [1, 2]).log_softmax(-1)

    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_logits_are_float32_whatever_the_weights_are(llama: Model) -> None:
    llama.network.to(torch.bfloat16)

    assert _last_logits(llama).dtype == torch.float32


def test_reading_logits_leaves_no_hook_even_after_an_error(model: Model) -> None:
    before = _hooks(model)

    _last_logits(model)
    with pytest.raises(IndexError):
        logits_at(model, SEQUENCES, [0], [99])

    assert _hooks(model) == before


def test_every_padded_token_is_counted_and_backward_only_where_there_is_one(llama: Model) -> None:
    tokens = 3 * 10

    with torch.no_grad():
        _last_logits(llama)
    assert (llama.tokens_forward, llama.tokens_backward) == (tokens, 0)

    _last_logits(llama)
    assert (llama.tokens_forward, llama.tokens_backward) == (2 * tokens, tokens)


# -- encoding ------------------------------------------------------------------------------------------


def test_prompt_and_continuation_are_tokens_of_the_running_text(llama: Model) -> None:
    prompt, answer = "Fact: Ann Lee plays the sport of", "ice hockey"

    context, tokens = encode(llama, prompt, answer)

    assert context == llama.tokenizer(prompt).input_ids
    assert context + tokens == llama.tokenizer(f"{prompt} {answer}").input_ids
    assert llama.tokenizer.decode(tokens) == " ice hockey"


def _merging_tokenizer() -> PreTrainedTokenizerFast:
    """Characters, and the merged token `a ` that reaches from a prompt into what follows it."""
    vocabulary = {"a": 0, "b": 1, " ": 2, "a ": 3}
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE(vocabulary, [("a", " ")])))


def test_a_token_that_spans_the_border_belongs_to_the_continuation(llama: Model) -> None:
    model = Model(llama.network, _merging_tokenizer())

    assert encode(model, "ba", "b") == ([1], [3, 1])


def test_a_prompt_of_which_no_token_is_left_is_refused(llama: Model) -> None:
    model = Model(llama.network, _merging_tokenizer())

    with pytest.raises(UsageError, match="nothing of prompt 'a'"):
        encode(model, "a", "b")


# -- names ---------------------------------------------------------------------------------------------


def test_the_family_is_recognized_by_its_module_names(model: Model, architecture: str) -> None:
    assert model.family.name == FAMILY_OF[architecture]
    assert model.blocks == 4


def test_an_unknown_architecture_is_refused_with_a_way_out() -> None:
    config = OPTConfig(vocab_size=32, hidden_size=8, ffn_dim=8, num_hidden_layers=1, num_attention_heads=2)
    network = AutoModelForCausalLM.from_config(config)

    model = Model(network, PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE())))
    with pytest.raises(UsageError, match="OPTForCausalLM") as refused:
        _ = model.components

    assert not model.has_components
    assert "families.py" in refused.value.hint


def test_a_model_without_modules_is_of_no_family() -> None:
    with pytest.raises(UsageError, match="Empty"):
        family_of(set(), "Empty")


def test_components_are_disjoint_and_lie_inside_their_blocks(model: Model) -> None:
    names = [name for component in model.components.values() for name in component.parameters]

    assert len(names) == len(set(names))
    for component in model.components.values():
        block = component.name.partition(".")[2]
        inside = f"{model.family.blocks}.{block}."
        assert component.parameters
        assert all(name.startswith(inside) for name in component.parameters)


def test_components_are_an_attention_and_an_mlp_per_block_in_order_of_depth(model: Model) -> None:
    assert list(model.components) == [f"{kind}.{block}" for block in range(4) for kind in ("attention", "mlp")]


def test_components_hold_every_matrix_of_the_blocks(model: Model) -> None:
    inside = {name for component in model.components.values() for name in component.parameters}
    prefix = f"{model.family.blocks}."

    matrices = {name for name, p in model.parameters.items() if name.startswith(prefix) and p.dim() == 2}

    assert matrices <= inside


def test_sizes_count_the_weights(model: Model) -> None:
    for component in model.components.values():
        assert component.size == sum(model.parameters[name].numel() for name in component.parameters)
    assert model.block_size == sum(component.size for component in model.components.values())
    assert model.size(model.parameters) == sum(p.numel() for p in model.network.parameters())


def test_the_digest_of_a_tensor_changes_with_one_bit_of_it(model: Model) -> None:
    before = model.tensor_digests()
    name = model.components["mlp.1"].parameters[0]

    with torch.no_grad():
        weight = model.parameters[name].view(-1)
        weight[3] = torch.nextafter(weight[3], torch.tensor(torch.inf))
    after = model.tensor_digests()

    assert set(before) == set(model.parameters)
    assert [n for n in before if before[n] != after[n]] == [name]


# -- tapping and intervening ---------------------------------------------------------------------------


def test_a_tap_yields_every_component_with_gradients(model: Model) -> None:
    with tap(model) as seen:
        logits = _last_logits(model)
        gradients = torch.autograd.grad(logits.square().sum(), list(seen.values()))

    assert set(seen) == set(model.components)
    assert all(tuple(output.shape) == (3, 10, 32) for output in seen.values())
    assert all(gradient.abs().max() > 0 for gradient in gradients)


def test_a_tap_sees_what_the_modules_put_out(model: Model) -> None:
    outputs: dict[str, Tensor] = {}
    handles = []
    for name, component in model.components.items():

        def keep(_module: object, _inputs: object, output: object, name: str = name) -> None:
            outputs[name] = output[0] if isinstance(output, tuple) else output  # type: ignore[assignment]

        handles.append(model.network.get_submodule(component.path).register_forward_hook(keep))

    with torch.no_grad(), tap(model) as seen:
        _last_logits(model)
    for handle in handles:
        handle.remove()

    for name in model.components:
        assert torch.equal(seen[name], outputs[name])


def test_a_tap_changes_no_logit(model: Model) -> None:
    expected = _last_logits(model)

    with tap(model):
        found = _last_logits(model)

    assert torch.equal(found, expected)


def test_a_tap_leaves_flags_and_hooks_as_they_were(model: Model) -> None:
    first = next(iter(model.parameters))
    model.parameters[first].requires_grad_(False)
    flags, hooks = _flags(model), _hooks(model)

    with tap(model):
        _last_logits(model)
        assert not any(_flags(model).values())
        assert _hooks(model) > hooks

    assert (_flags(model), _hooks(model)) == (flags, hooks)


def test_a_tap_without_gradients_records_without_a_graph(model: Model) -> None:
    with torch.no_grad(), tap(model) as seen:
        _last_logits(model)

    assert set(seen) == set(model.components)
    assert not any(output.requires_grad for output in seen.values())


def test_an_intervention_replaces_the_output_of_a_module(model: Model) -> None:
    path = model.components["mlp.2"].path
    marked: list[Tensor] = []

    with intervened(model, {path: torch.zeros_like}), tap(model) as seen:
        _last_logits(model)
        marked.append(seen["mlp.2"])

    assert torch.equal(marked[0], torch.zeros_like(marked[0]))


def test_an_intervention_changes_logits_only_while_it_lasts(model: Model) -> None:
    clean, hooks = _last_logits(model), _hooks(model)
    paths = {component.path: torch.zeros_like for component in model.components.values()}

    with intervened(model, paths):
        changed = _last_logits(model)

    assert not torch.allclose(changed, clean)
    assert torch.equal(_last_logits(model), clean)
    assert _hooks(model) == hooks


def test_an_intervention_ends_even_after_an_error(model: Model) -> None:
    hooks = _hooks(model)

    with pytest.raises(KeyError, match="stop"), intervened(model, {model.components["attention.0"].path: torch.neg}):
        raise KeyError("stop")

    assert _hooks(model) == hooks


def test_a_path_that_does_not_exist_leaves_no_hook_behind(model: Model) -> None:
    hooks = _hooks(model)

    with (
        pytest.raises(AttributeError),
        intervened(model, {model.components["mlp.0"].path: torch.neg, "no.such": torch.neg}),
    ):
        pass

    assert _hooks(model) == hooks


# -- changing and putting back -------------------------------------------------------------------------


def test_only_the_named_parameters_get_gradients(model: Model) -> None:
    wanted = set(model.components["mlp.1"].parameters)

    with model.trainable(wanted) as given:
        torch.autograd.backward(_last_logits(model).square().sum())
        with_gradient = {name for name, p in model.parameters.items() if p.grad is not None}

    assert set(given) == wanted
    assert with_gradient == wanted


def test_training_flags_come_back_and_gradients_go_even_after_an_error(model: Model) -> None:
    first, second = list(model.parameters)[:2]
    model.parameters[first].requires_grad_(False)
    before = _flags(model)

    with pytest.raises(KeyError, match="stop"), model.trainable({first}):
        torch.autograd.backward(_last_logits(model).square().sum())
        raise KeyError("stop")

    assert _flags(model) == before
    assert (before[first], before[second]) == (False, True)
    assert all(parameter.grad is None for parameter in model.parameters.values())


def _scramble(model: Model) -> None:
    with torch.no_grad():
        for parameter in model.parameters.values():
            parameter.mul_(-3.7).add_(torch.nan)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_restored_weights_are_what_they_were_bit_for_bit(model: Model, dtype: torch.dtype) -> None:
    model.network.to(dtype)
    before = model.tensor_digests()

    with model.restored():
        _scramble(model)
        assert all(value != before[name] for name, value in model.tensor_digests().items())

    assert model.tensor_digests() == before


def test_weights_are_restored_even_after_an_error(model: Model) -> None:
    before = model.tensor_digests()

    with pytest.raises(KeyError, match="stop"), model.restored():
        _scramble(model)
        raise KeyError("stop")

    assert model.tensor_digests() == before


def test_only_named_weights_are_copied_and_restored(model: Model) -> None:
    before, names = model.tensor_digests(), model.components["attention.1"].parameters

    with model.restored(names) as copies:
        assert set(copies) == set(names)
        _scramble(model)

    after = model.tensor_digests()
    assert {name for name in before if after[name] == before[name]} == set(names)
