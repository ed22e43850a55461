"""Every family against the library's own forward pass: what is said about a component is true of its weights.

References are taken from inside the network by hooks, and from the library's attention functions, which are handed
queries, keys and values [batch, heads, positions, size] and give back outputs [batch, positions, heads, size].
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import pytest
import torch
import transformers
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedTokenizerFast
from transformers.modeling_utils import AttentionInterface

from unlearnbench import families
from unlearnbench.anatomy import Heads, Matrix, Slice, heads_of, neurons_of
from unlearnbench.errors import UsageError
from unlearnbench.families import Family, family_of
from unlearnbench.model import Model
from unlearnbench.scoring import Asked, score

from .family_models import ARCHITECTURES, BLOCKS, GROUPS, HEADS, WIDTH, WINDOW, random_model, random_network

IDS = torch.tensor([[0, 41, 42, 43, 44, 45, 46, 47, 48], [0, 51, 52, 53, 54, 55, 56, 57, 58]])
FINAL_NORM = {
    "llama": "model.norm",
    "multimodal": "model.language_model.norm",
    "gpt2": "transformer.ln_f",
    "gpt_neox": "gpt_neox.final_layer_norm",
}
WRITES_THROUGH_A_NORM = {"gemma2", "gemma3", "gemma3_multimodal", "olmo2"}
WINDOWED = {"mistral", "gemma2", "gemma3", "gemma3_multimodal", "phi3"}
NORMS = ("q_norm", "k_norm")
BLOOM = Family("bloom", "transformer.h", "self_attention", "mlp")


@pytest.fixture(scope="module", params=ARCHITECTURES)
def built(request: pytest.FixtureRequest, tiny_tokenizer: PreTrainedTokenizerFast) -> tuple[str, Model]:
    """One model per architecture; the tests share it."""
    return request.param, random_model(request.param, tiny_tokenizer)


@pytest.fixture
def name(built: tuple[str, Model]) -> str:
    """What the architecture is called."""
    return built[0]


@pytest.fixture
def model(built: tuple[str, Model]) -> Iterator[Model]:
    """The model of every architecture in turn; its weights are put back after the test."""
    with built[1].restored():
        yield built[1]


@torch.no_grad()
def _passing(model: Model, *paths: str) -> dict[str, tuple[Tensor, Tensor]]:
    """What goes into and comes out of modules when the network reads `IDS`."""
    found: dict[str, tuple[Tensor, Tensor]] = {}
    with ExitStack() as stack:
        for path in paths:

            def keep(_: nn.Module, inputs: Any, named: Any, output: Any, path: str = path) -> None:
                given = inputs[0] if inputs else named["hidden_states"]
                found[path] = (given, output[0] if isinstance(output, tuple) else output)

            module = model.network.get_submodule(path)
            stack.callback(module.register_forward_hook(keep, with_kwargs=True).remove)
        model.network(input_ids=IDS, use_cache=False)
    return found


class Attended(NamedTuple):
    """What the library's attention function is given and gives back, with the heads on axis 1."""

    queries: Tensor
    keys: Tensor
    values: Tensor
    outputs: Tensor


@contextmanager
def _watching() -> Iterator[list[Attended]]:
    seen: list[Attended] = []
    choose = AttentionInterface.get_interface

    def watched(self: AttentionInterface, *which: Any) -> Callable[..., Any]:
        def attend(module: nn.Module, q: Tensor, k: Tensor, v: Tensor, *rest: Any, **named: Any) -> Any:
            result = choose(self, *which)(module, q, k, v, *rest, **named)
            seen.append(Attended(q, k, v, result[0].transpose(1, 2)))
            return result

        return attend

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AttentionInterface, "get_interface", watched)
        yield seen


@torch.no_grad()
def _attended(model: Model, block: int) -> Attended:
    with _watching() as seen:
        model.network(input_ids=IDS, use_cache=False)
    assert len(seen) == BLOCKS
    return seen[block]


def _differing(before: Tensor, after: Tensor) -> set[int]:
    """The heads (axis 1) that are not what they were."""
    return {i for i in range(before.shape[1]) if (before[:, i] - after[:, i]).abs().max() > 1e-5}


@contextmanager
def _zeroed(model: Model, places: tuple[Slice, ...]) -> Iterator[None]:
    with model.restored(), torch.no_grad():
        for place in places:
            assert place.of(model.parameters).abs().max() > 0
            place.of(model.parameters).zero_()
        yield


def _apply(model: Model, places: tuple[Slice, ...], inputs: Tensor) -> Tensor:
    """x W (+ b) for some outputs of a matrix."""
    weight = places[0].of(model.parameters)
    weight = weight if places[0].axis == 1 else weight.T
    bias = places[1].of(model.parameters) if len(places) > 1 else 0
    return inputs @ weight + bias


@pytest.fixture
def apart(model: Model) -> Iterator[Model]:
    """The model without norms that span all heads (OLMo-2), which let an edit of one head reach the others."""
    spanning = [block for block in range(BLOCKS) if heads_of(model, block).normalized_together]
    paths = [f"{model.components[f'attention.{block}'].path}.{norm}" for block in spanning for norm in NORMS]
    norms = {path: model.network.get_submodule(path) for path in paths}
    for path in paths:
        model.network.set_submodule(path, nn.Identity())
    yield model
    for path, norm in norms.items():
        model.network.set_submodule(path, norm)


# -- the residual stream -------------------------------------------------------------------------------


def _embedded(model: Model, name: str) -> Tensor:
    """What the first block reads, from the definition of the architecture."""
    rows: Tensor = model.network.get_input_embeddings().weight[IDS]
    if name.startswith("gemma"):
        return rows * WIDTH**0.5
    if name == "gpt2":
        return rows + model.network.transformer.wpe.weight[: IDS.shape[1]]
    return rows


@torch.no_grad()
def test_embeddings_and_what_components_write_add_up_to_the_stream_before_the_final_norm(
    model: Model, name: str
) -> None:
    norm = FINAL_NORM[model.family.name]

    with model.tap() as written:
        stream, _ = _passing(model, norm)[norm]

    assert len(written) == 2 * BLOCKS
    total = _embedded(model, name) + sum(written.values())
    torch.testing.assert_close(total, stream, atol=1e-5, rtol=1e-5)


def test_a_gradient_at_what_is_written_is_the_gradient_of_the_stream(model: Model) -> None:
    with model.tap() as written:
        states: list[Tensor] = []
        norm = model.network.get_submodule(FINAL_NORM[model.family.name])
        handle = norm.register_forward_pre_hook(lambda _, inputs: states.append(inputs[0]))
        logits = model.network(input_ids=IDS, use_cache=False).logits
        handle.remove()
        last, stream = torch.autograd.grad(logits[:, -1, 7].sum(), [written[f"mlp.{BLOCKS - 1}"], states[0]])

    assert stream.abs().max() > 0
    torch.testing.assert_close(last, stream, atol=1e-6, rtol=1e-5)


def test_a_component_writes_through_a_norm_exactly_where_its_family_has_one_behind_it(model: Model, name: str) -> None:
    for component in model.components.values():
        through = component.writes != component.path

        assert through == (name in WRITES_THROUGH_A_NORM)
        assert not through or component.writes.rpartition(".")[2].startswith("post_")
        assert (
            not any(parameter.startswith(f"{component.writes}.") for parameter in component.parameters) or not through
        )


def test_the_windows_of_the_models_are_shorter_than_the_prompts(model: Model, name: str) -> None:
    path = model.components["attention.0"].path
    _, before = _passing(model, path)[path]
    with torch.no_grad():
        model.network.get_input_embeddings().weight[IDS[0, 1]] += 1.0

    _, after = _passing(model, path)[path]

    assert IDS.shape[1] > WINDOW + 1
    assert torch.equal(before[0, -1], after[0, -1]) == (name in WINDOWED)


# -- matrices ------------------------------------------------------------------------------------------


def test_the_output_projection_maps_its_inputs_to_the_output_of_the_sublayer(model: Model) -> None:
    for component in model.components.values():
        assert component.output is not None
        passing = _passing(model, component.path, component.output)
        matrix = Matrix.at(model.network, component.output)
        inputs, _ = passing[component.output]

        assert (matrix.inputs, matrix.outputs) == (inputs.shape[-1], WIDTH)
        expected = _apply(model, matrix.for_outputs(0, WIDTH), inputs)
        torch.testing.assert_close(passing[component.path][1], expected, atol=1e-5, rtol=1e-5)


def test_the_input_projections_read_what_the_sublayer_reads(model: Model) -> None:
    for component in model.components.values():
        passing = _passing(model, component.path, *component.reads)

        assert component.reads
        assert all(torch.equal(passing[path][0], passing[component.path][0]) for path in component.reads)


def test_every_matrix_of_a_component_is_one_that_reads_or_the_one_that_writes(model: Model) -> None:
    for component in model.components.values():
        matrices = {n for n in component.parameters if model.parameters[n].dim() == 2}

        assert matrices == {f"{path}.weight" for path in (*component.reads, component.output)}


def test_only_gpt_2_stores_weights_with_the_inputs_first(model: Model, name: str) -> None:
    matrices = [Matrix.at(model.network, p) for c in model.components.values() for p in (*c.reads, c.output or "")]

    assert {matrix.input_axis for matrix in matrices} == {0 if name == "gpt2" else 1}


# -- heads ---------------------------------------------------------------------------------------------


def test_heads_are_as_many_and_as_wide_as_the_library_makes_them(model: Model) -> None:
    for block in range(BLOCKS):
        heads, seen = heads_of(model, block), _attended(model, block)

        assert (heads.count, heads.size) == (seen.queries.shape[1], seen.queries.shape[3]) == (HEADS, heads.size)
        assert heads.groups == seen.keys.shape[1] == seen.values.shape[1]
        assert [heads.group_of(h) for h in range(HEADS)] == [h * heads.groups // HEADS for h in range(HEADS)]


def test_single_heads_and_the_bias_once_add_up_to_the_output_of_the_attention(model: Model) -> None:
    for block in range(BLOCKS):
        component, heads = model.components[f"attention.{block}"], heads_of(model, block)
        seen, (_, expected) = _attended(model, block), _passing(model, component.path)[component.path]

        total = model.parameters.get(f"{component.output}.bias", torch.zeros(WIDTH))
        for head, place in enumerate(heads.outputs):
            weight = place.of(model.parameters)
            total = total + seen.outputs[:, head] @ (weight if place.axis == 0 else weight.T)

        torch.testing.assert_close(total.detach(), expected, atol=1e-5, rtol=1e-5)


def test_values_made_with_their_slices_are_those_that_the_attention_is_given(model: Model) -> None:
    component, heads = model.components["attention.1"], heads_of(model, 1)
    inputs, _ = _passing(model, component.path)[component.path]
    seen = _attended(model, 1)

    for group, places in enumerate(heads.values):
        torch.testing.assert_close(_apply(model, places, inputs), seen.values[:, group], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["queries", "keys", "values"])
def test_without_its_slices_one_query_key_or_value_is_zero_and_the_others_are_what_they_were(
    apart: Model, kind: str
) -> None:
    before = getattr(_attended(apart, 1), kind)

    for i, places in enumerate(getattr(heads_of(apart, 1), kind)):
        with _zeroed(apart, places):
            after = getattr(_attended(apart, 1), kind)
        assert not after[:, i].any()
        assert _differing(before, after) == {i}


def test_without_its_query_a_head_alone_changes_and_without_key_or_value_exactly_its_group(apart: Model) -> None:
    heads, before = heads_of(apart, 1), _attended(apart, 1)

    def changed(places: tuple[Slice, ...]) -> set[int]:
        with _zeroed(apart, places):
            return _differing(before.outputs, _attended(apart, 1).outputs)

    for head, places in enumerate(heads.queries):
        assert changed(places) == {head}
    for group in range(heads.groups):
        members = {head for head in range(heads.count) if heads.group_of(head) == group}
        assert changed(heads.keys[group]) == changed(heads.values[group]) == members


def test_only_where_one_norm_spans_all_heads_an_edit_of_one_query_reaches_the_others(model: Model, name: str) -> None:
    heads, before = heads_of(model, 1), _attended(model, 1).outputs

    with _zeroed(model, heads.queries[0]):
        reached = _differing(before, _attended(model, 1).outputs) - {0}

    assert heads.normalized_together == bool(reached) == (name == "olmo2")


def _places(model: Model, places: list[Slice]) -> dict[str, int]:
    """How often each entry of each parameter is named: the total, after checking that none is named twice."""
    named = {place.parameter: torch.zeros_like(model.parameters[place.parameter]) for place in places}
    for place in places:
        place.of(named).add_(1)
    assert all(count.max() == 1 for count in named.values())
    return {name: int(count.sum()) for name, count in named.items()}


def _slices(heads: Heads) -> list[Slice]:
    return [s for places in (*heads.queries, *heads.keys, *heads.values) for s in places] + list(heads.outputs)


def test_heads_share_no_weight_and_leave_none_out_but_norms_and_the_output_bias(model: Model) -> None:
    component = model.components["attention.1"]

    named = _places(model, _slices(heads_of(model, 1)))

    assert all(model.parameters[name].numel() == count for name, count in named.items())
    left = {n.removeprefix(f"{component.path}.") for n in component.parameters if n not in named}
    assert left <= {"q_norm.weight", "k_norm.weight", f"{str(component.output).rpartition('.')[2]}.bias"}


# -- neurons -------------------------------------------------------------------------------------------


def _activation(name: str) -> Callable[[Tensor], Tensor]:
    if name.startswith("gpt_neox"):
        return functional.gelu
    if name.startswith(("gemma", "gpt2")):
        return lambda x: functional.gelu(x, approximate="tanh")
    return functional.silu


@torch.no_grad()
def test_an_mlp_recomputed_from_its_slices_is_the_mlp(model: Model, name: str) -> None:
    component, neurons = model.components["mlp.1"], neurons_of(model, 1)
    inputs, expected = _passing(model, component.path)[component.path]
    activate, up = _activation(name), _apply(model, neurons.up, inputs)

    hidden = activate(_apply(model, neurons.gate, inputs)) * up if neurons.gate else activate(up)

    assert hidden.shape[-1] == neurons.count
    weight = neurons.outputs.of(model.parameters)
    found = hidden @ (weight if neurons.outputs.axis == 0 else weight.T)
    found = found + model.parameters.get(f"{component.output}.bias", torch.zeros(WIDTH))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_neurons_share_no_weight_and_leave_none_out_but_the_output_bias(model: Model) -> None:
    component, neurons = model.components["mlp.1"], neurons_of(model, 1)

    named = _places(model, [*neurons.gate, *neurons.up, neurons.outputs])

    assert all(model.parameters[name].numel() == count for name, count in named.items())
    assert {name for name in component.parameters if name not in named} <= {f"{component.output}.bias"}


# -- edits and scores ----------------------------------------------------------------------------------


def test_a_training_step_on_one_component_changes_its_parameters_and_what_comes_later_only(model: Model) -> None:
    mine = set(model.components["attention.1"].parameters)
    digests = model.tensor_digests()
    with torch.no_grad(), model.tap() as seen:
        model.network(input_ids=IDS, use_cache=False)
        before = dict(seen)

    with model.trainable(mine) as given:
        torch.autograd.backward(model.network(input_ids=IDS, use_cache=False).logits.log_softmax(-1)[..., 5].sum())
        with torch.no_grad():
            for parameter in given.values():
                parameter.sub_(0.1 * parameter.grad.sign())  # type: ignore[union-attr]
    with torch.no_grad(), model.tap() as after:
        model.network(input_ids=IDS, use_cache=False)

    changed = {name for name, digest in model.tensor_digests().items() if digest != digests[name]}
    assert changed == mine
    assert all(torch.equal(after[name], before[name]) for name in ("attention.0", "mlp.0"))
    assert not any(torch.equal(after[name], before[name]) for name in ("attention.1", "attention.2", "mlp.2"))


@torch.no_grad()
def test_scores_are_the_log_likelihoods_of_the_plain_network(model: Model) -> None:
    prompts = ("Fact: Ann Lee plays the sport of", "Ed plays")
    choices = ("ice hockey", "ice skating", "football", "water polo")

    found = score(model, [Asked(prompt, choices) for prompt in prompts], batch_size=2)

    lengths = set()
    for prompt, scored in zip(prompts, found, strict=True):
        start = len(model.tokenizer(prompt).input_ids)
        for choice, logprob in zip(choices, scored.logprobs, strict=True):
            ids = torch.tensor([model.tokenizer(f"{prompt} {choice}").input_ids])
            likely = model.network(input_ids=ids).logits[0].float().log_softmax(-1)
            expected = sum(likely[i - 1, ids[0, i]].item() for i in range(start, ids.shape[1]))
            lengths.add(ids.shape[1] - start)
            assert logprob == pytest.approx(expected, abs=1e-4)
    assert max(lengths) > 1


# -- what is not known ---------------------------------------------------------------------------------


@pytest.fixture
def bloom(tiny_tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch) -> Model:
    """A model of an architecture without a row, with the row of CONTRIBUTING.md: its sublayers add the stream."""
    monkeypatch.setattr(families, "FAMILIES", (*families.FAMILIES, BLOOM))
    sizes = {"hidden_size": WIDTH, "n_layer": BLOCKS, "n_head": HEADS, "initializer_range": 0.2}
    return Model(random_network(transformers.BloomConfig(vocab_size=len(tiny_tokenizer), **sizes)), tiny_tokenizer)


@torch.no_grad()
def test_where_sublayers_add_the_stream_themselves_it_is_written_by_their_output_projections(bloom: Model) -> None:
    with bloom.tap() as written:
        passing = _passing(bloom, "transformer.word_embeddings_layernorm", "transformer.ln_f")

    assert bloom.components["mlp.1"].writes == bloom.components["mlp.1"].output == "transformer.h.1.mlp.dense_4h_to_h"
    total = passing["transformer.word_embeddings_layernorm"][1] + sum(written.values())
    torch.testing.assert_close(total, passing["transformer.ln_f"][0], atol=1e-5, rtol=1e-5)


def test_a_fused_matrix_of_an_unknown_class_is_refused_and_one_line_makes_it_known(
    bloom: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match=r"BloomAttention that reads through query_key_value.* heads") as refused:
        heads_of(bloom, 1)
    assert "families.py" in refused.value.hint

    monkeypatch.setitem(families.FUSED, "BloomAttention", "interleaved")  # type: ignore[arg-type]
    heads, output = heads_of(bloom, 1), str(bloom.components["attention.1"].output)
    before, _ = _passing(bloom, output)[output]
    for head, places in enumerate(heads.values):
        with _zeroed(bloom, places):
            after, _ = _passing(bloom, output)[output]
        assert _differing(*(x.unflatten(-1, (HEADS, -1)).transpose(1, 2) for x in (before, after))) == {head}


def test_a_fused_matrix_that_does_not_fit_what_is_said_about_it_is_refused(
    tiny_tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(families.FUSED, "Phi3Attention", "interleaved")  # type: ignore[arg-type]

    with pytest.raises(UsageError, match="heads"):  # there are fewer keys than queries
        heads_of(random_model("phi3", tiny_tokenizer), 0)


def test_experts_have_no_single_output_projection_and_no_neurons(tiny_tokenizer: PreTrainedTokenizerFast) -> None:
    sizes = {"hidden_size": WIDTH, "num_hidden_layers": 1, "num_attention_heads": HEADS, "moe_intermediate_size": 8}
    experts = {"num_key_value_heads": GROUPS, "head_dim": 8, "num_experts": 4, "num_experts_per_tok": 2}
    config = transformers.Qwen3MoeConfig(vocab_size=len(tiny_tokenizer), **sizes, **experts)

    model = Model(random_network(config), tiny_tokenizer)

    assert model.components["mlp.0"].output is None
    assert model.components["mlp.0"].writes == model.components["mlp.0"].path
    assert heads_of(model, 0).groups == GROUPS
    with pytest.raises(UsageError, match="neurons"):
        neurons_of(model, 0)


def test_the_refusal_of_an_unknown_architecture_names_what_its_blocks_have() -> None:
    names = {"body", "body.blocks", "body.blocks.0", "body.blocks.0.mixer", "body.blocks.0.mixer.experts.0", "head"}

    with pytest.raises(UsageError, match=r"New.*no known family; body\.blocks\.0 has mixer$") as refused:
        family_of(names, "New")
    assert "families.py" in refused.value.hint

    with pytest.raises(UsageError, match="no list of blocks was found"):
        family_of({"body", "head"}, "New")
