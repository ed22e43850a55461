"""Every family against the library's own forward pass: what is said about a component is true of its weights."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from unlearnbench.errors import UsageError
from unlearnbench.locating.relevance import linearized
from unlearnbench.model.heads import groups_of, head_count, head_mixers, heads_tapped
from unlearnbench.model.hooks import constantly, intervened, recorded, tap
from unlearnbench.model.model import Model
from unlearnbench.model.readers import side_by_side, stream_of
from unlearnbench.model.scoring import Asked, score

from .family_models import ARCHITECTURES, BLOCKS, GROUPS_OF, HEADS, WIDTH, WINDOW, random_model, random_network

IDS = torch.tensor([[0, 41, 42, 43, 44, 45, 46, 47, 48], [0, 51, 52, 53, 54, 55, 56, 57, 58]])
FINAL_NORM = {
    "llama": "model.norm",
    "multimodal": "model.language_model.norm",
    "gpt2": "transformer.ln_f",
    "gpt_neox": "gpt_neox.final_layer_norm",
    "falcon": "transformer.ln_f",
}
WRITES_THROUGH_A_NORM = {"gemma2", "gemma3", "gemma3_multimodal", "olmo2"}
READS_WITHOUT_A_NORM = {"olmo2"}
WINDOWED = {"mistral", "gemma2", "gemma3", "gemma3_multimodal", "phi3", "starcoder2"}
SIDE_BY_SIDE = {"gpt_neox", "cohere", "falcon_7b", "falcon_40b"}
ONE_HEAD_REACHES_ALL = {"olmo2"}


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
def passing(model: Model, *paths: str) -> dict[str, tuple[Tensor, Tensor]]:
    """What goes into and comes out of modules when the network reads `IDS`."""
    found: dict[str, tuple[Tensor, Tensor]] = {}
    with ExitStack() as stack:
        for path in paths:

            def keep(_: nn.Module, inputs: Any, named: Any, output: Any, path: str = path) -> None:
                given = inputs[0] if inputs else named["hidden_states"]
                found[path] = (given.clone(), (output[0] if isinstance(output, tuple) else output).clone())

            module = model.network.get_submodule(path)
            stack.callback(module.register_forward_hook(keep, with_kwargs=True).remove)
        model.network(input_ids=IDS, use_cache=False)
    return found


def embedded(model: Model, name: str) -> Tensor:
    """What the first block reads, from the definition of the architecture."""
    rows: Tensor = model.network.get_input_embeddings().weight[IDS]
    if name.startswith("gemma"):
        return rows * WIDTH**0.5
    if name == "gpt2":
        return rows + model.network.transformer.wpe.weight[: IDS.shape[1]]
    return rows


# -- the residual stream -------------------------------------------------------------------------------


@torch.no_grad()
def test_embeddings_and_what_components_write_add_up_to_the_stream_before_the_final_norm(
    model: Model, name: str
) -> None:
    norm = FINAL_NORM[model.family.name]

    with recorded(model, stream_of(model).writers) as written:
        stream, _ = passing(model, norm)[norm]

    assert len(written) == 2 * BLOCKS
    total = embedded(model, name) + sum(written.values())
    torch.testing.assert_close(total, stream, atol=1e-5, rtol=1e-5)


def test_a_gradient_at_what_is_written_is_the_gradient_of_the_stream(model: Model) -> None:
    paths = stream_of(model).writers
    with tap(model), recorded(model, paths) as written:
        states: list[Tensor] = []
        norm = model.network.get_submodule(FINAL_NORM[model.family.name])
        handle = norm.register_forward_pre_hook(lambda _, inputs: states.append(inputs[0]))
        logits = model.network(input_ids=IDS, use_cache=False).logits
        handle.remove()
        last, stream = torch.autograd.grad(logits[:, -1, 7].sum(), [written[f"mlp.{BLOCKS - 1}"], states[0]])

    assert stream.abs().max() > 0
    torch.testing.assert_close(last, stream, atol=1e-6, rtol=1e-5)


@torch.no_grad()
def test_a_component_that_is_made_to_say_what_it_says_changes_nothing_and_silence_is_heard(model: Model) -> None:
    before = model.network(input_ids=IDS, use_cache=False).logits
    with tap(model) as said:
        model.network(input_ids=IDS, use_cache=False)
        said = dict(said)
    for component in model.components.values():
        with intervened(model, {component.path: constantly(said[component.name])}):
            for _ in range(2):  # the second time, too: what is said in its place is not used up
                same = model.network(input_ids=IDS, use_cache=False).logits
                torch.testing.assert_close(same, before, atol=1e-5, rtol=1e-5)
        with intervened(model, {component.path: constantly(torch.zeros_like(said[component.name]))}):
            assert (model.network(input_ids=IDS, use_cache=False).logits - before).abs().max() > 1e-3


def test_norms_stand_before_and_behind_components_where_the_architecture_has_them(model: Model, name: str) -> None:
    stream = stream_of(model)

    for component in model.components.values():
        assert (stream.writers[component.name] != component.path) == (name in WRITES_THROUGH_A_NORM)
        assert (stream.readers[component.name] != component.path) == (name not in READS_WITHOUT_A_NORM)


def test_attention_and_mlp_stand_side_by_side_where_the_architecture_has_it_so(model: Model, name: str) -> None:
    assert side_by_side(model) == (name in SIDE_BY_SIDE)


def test_the_windows_of_the_models_are_shorter_than_the_prompts(model: Model, name: str) -> None:
    path = model.components["attention.0"].path
    _, before = passing(model, path)[path]
    with torch.no_grad():
        model.network.get_input_embeddings().weight[IDS[0, 1]] += 1.0

    _, after = passing(model, path)[path]

    assert IDS.shape[1] > WINDOW + 1
    assert torch.equal(before[0, -1], after[0, -1]) == (name in WINDOWED)


# -- matrices and heads --------------------------------------------------------------------------------


@torch.no_grad()
def test_every_component_writes_with_the_projection_that_is_found(model: Model) -> None:
    assert list(model.projections) == list(model.components)
    for name, path in model.projections.items():
        component, module = model.components[name], model.network.get_submodule(path)
        seen = passing(model, component.path, path)
        weight = module.weight if isinstance(module, nn.Linear) else module.weight.T
        torch.testing.assert_close(
            nn.functional.linear(seen[path][0], weight, getattr(module, "bias", None)), seen[component.path][1]
        )
        assert f"{path}.weight" in component.parameters


@torch.no_grad()
def test_heads_are_those_that_the_architecture_has_and_add_up_to_the_attention(model: Model, name: str) -> None:
    assert (head_count(model), groups_of(model)) == (HEADS, GROUPS_OF[name])
    paths = head_mixers(model)
    with heads_tapped(model, paths) as heads:
        seen = passing(model, *(model.components[f"attention.{block}"].path for block in range(BLOCKS)))
    for block in range(BLOCKS):
        module = model.network.get_submodule(paths[block])
        weight = module.weight if isinstance(module, nn.Linear) else module.weight.T
        parts = weight.view(WIDTH, HEADS, -1)
        total = torch.einsum("bphw,ohw->bpo", heads[block], parts)
        bias = getattr(module, "bias", None)
        said = seen[model.components[f"attention.{block}"].path][1]
        torch.testing.assert_close(total if bias is None else total + bias, said, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_relevance_leaves_what_the_model_says_as_it_is(model: Model) -> None:
    before = model.network(input_ids=IDS, use_cache=False).logits
    with linearized(model):
        torch.testing.assert_close(model.network(input_ids=IDS, use_cache=False).logits, before)


def test_no_relevance_passes_through_queries_and_keys(model: Model) -> None:
    """With queries and keys held still, what an attention without biases says is linear in what it reads."""
    path, kept = model.components["attention.1"].path, dict[str, Tensor]()

    def begin(_: Any, inputs: Any, named: dict[str, Any]) -> Any:
        kept["read"] = (inputs[0] if inputs else named["hidden_states"]).detach().requires_grad_()
        return ((kept["read"], *inputs[1:]), named) if inputs else (inputs, {**named, "hidden_states": kept["read"]})

    biases = (n for n in model.components["attention.1"].parameters if n.endswith(".bias"))
    model.write({name: torch.zeros_like(model.parameters[name]) for name in biases})
    handle = model.network.get_submodule(path).register_forward_pre_hook(begin, with_kwargs=True, prepend=True)
    try:
        with linearized(model), recorded(model, {"said": path}) as seen:
            model.network(input_ids=IDS, use_cache=False)
            said = seen["said"][0, -1].sum()
            (slope,) = torch.autograd.grad(said, kept["read"])
    finally:
        handle.remove()
    assert said.abs() > 1e-3
    torch.testing.assert_close((slope * kept["read"]).sum(), said, atol=1e-4, rtol=1e-4)


# -- edits and scores ----------------------------------------------------------------------------------


def test_a_training_step_on_one_component_changes_its_parameters_and_what_comes_later_only(
    model: Model, name: str
) -> None:
    mine = set(model.components["attention.1"].parameters)
    digests = model.tensor_digests()
    with torch.no_grad(), tap(model) as seen:
        model.network(input_ids=IDS, use_cache=False)
        before = dict(seen)

    with model.trainable(mine) as given:
        torch.autograd.backward(model.network(input_ids=IDS, use_cache=False).logits.log_softmax(-1)[..., 5].sum())
        with torch.no_grad():
            for parameter in given.values():
                parameter.sub_(0.1 * parameter.grad.sign())  # type: ignore[union-attr]
    with torch.no_grad(), tap(model) as after:
        model.network(input_ids=IDS, use_cache=False)

    changed = {name for name, digest in model.tensor_digests().items() if digest != digests[name]}
    assert changed == mine
    assert all(torch.equal(after[other], before[other]) for other in ("attention.0", "mlp.0"))
    assert not any(torch.equal(after[other], before[other]) for other in ("attention.1", "attention.2", "mlp.2"))
    assert torch.equal(after["mlp.1"], before["mlp.1"]) == (name in SIDE_BY_SIDE)


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


# -- what cannot be right ------------------------------------------------------------------------------

EXPERTS = {
    "Qwen3MoeConfig": {"moe_intermediate_size": 8, "num_experts": 4, "num_experts_per_tok": 2, "head_dim": 8},
    "MixtralConfig": {"num_local_experts": 4, "num_experts_per_tok": 2, "intermediate_size": 16},
}


@pytest.mark.parametrize("kind", list(EXPERTS))
def test_a_mixture_of_experts_is_refused_for_components_in_words(
    kind: str, tiny_tokenizer: PreTrainedTokenizerFast
) -> None:
    sizes = {"hidden_size": WIDTH, "num_hidden_layers": 1, "num_attention_heads": HEADS, "num_key_value_heads": 2}
    config = getattr(transformers, kind)(vocab_size=len(tiny_tokenizer), **{**sizes, **EXPERTS[kind]})
    model = Model(random_network(config), tiny_tokenizer)

    with pytest.raises(UsageError, match="mixture of experts") as refused:
        _ = model.components
    assert "full_finetune" in refused.value.hint
    assert not model.has_components


def test_a_model_that_mixes_attention_with_a_state_space_is_refused_for_components_in_words(
    tiny_tokenizer: PreTrainedTokenizerFast, llama: Model
) -> None:
    del llama.network.get_submodule("model.layers.2").self_attn

    with pytest.raises(UsageError, match=r"no model\.layers\.2\.self_attn.*state space"):
        _ = llama.components
