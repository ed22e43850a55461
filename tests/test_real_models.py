"""What real models and their tokenizers do that organisms do not: EOS, BOS, bfloat16, capped attention."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tokenizers import processors
from transformers import PreTrainedTokenizerFast

from unlearnbench.errors import UnlearnBenchError
from unlearnbench.model.loading import load
from unlearnbench.model.model import Model
from unlearnbench.model.reading import encode, last_logits, tokens_of
from unlearnbench.model.scoring import Asked, score
from unlearnbench.model.source import locate

PROMPT, CHOICES = "Fact: Aldo Ambrel plays the sport of", ("golf", "tennis", "baseball")


def _with(model: Model, template: str) -> Model:
    """The model with a tokenizer that adds other special tokens; the end-of-text token stands for all."""
    end = model.tokenizer.eos_token
    raw = model.tokenizer.backend_tokenizer.__class__.from_str(model.tokenizer.backend_tokenizer.to_str())
    raw.post_processor = processors.TemplateProcessing(
        single=template.replace("E", end), special_tokens=[(end, model.tokenizer.eos_token_id)]
    )
    ends = {"bos_token": end, "eos_token": end, "pad_token": model.tokenizer.pad_token}
    return Model(model.network, PreTrainedTokenizerFast(tokenizer_object=raw, **ends))


# -- special tokens ------------------------------------------------------------------------------------


def test_an_eos_that_the_tokenizer_adds_is_never_scored(llama: Model) -> None:
    adding = _with(llama, "E $A E")

    assert adding.added_at_end == (llama.tokenizer.eos_token_id,)
    assert llama.added_at_end == ()
    for choice in CHOICES:
        assert encode(adding, PROMPT, choice) == encode(llama, PROMPT, choice)
    asked = [Asked(PROMPT, CHOICES)]
    assert score(adding, asked, 8) == score(llama, asked, 8)


def test_a_bos_that_is_written_in_a_text_is_not_doubled(llama: Model) -> None:
    written = f"{llama.tokenizer.bos_token}{PROMPT}"
    assert list(llama.tokenizer(written).input_ids)[:2] == [llama.tokenizer.bos_token_id] * 2

    assert tokens_of(llama, written) == tokens_of(llama, PROMPT)


def test_a_tokenizer_that_adds_nothing_is_left_as_it_is(llama: Model) -> None:
    plain = _with(llama, "$A")

    assert tokens_of(plain, PROMPT) == tokens_of(llama, PROMPT)[1:]


# -- bfloat16 ------------------------------------------------------------------------------------------


def test_the_output_layer_of_a_bfloat16_model_is_computed_in_float32(model: Model) -> None:
    network = model.network.to(torch.bfloat16)
    ids = [tokens_of(model, PROMPT)]
    seen: list[torch.Tensor] = []
    head = network.get_output_embeddings()
    handle = head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))

    with torch.no_grad():
        found = last_logits(model, ids)[0]
        rounded = network(input_ids=torch.tensor(ids)).logits[0, -1].float()
    handle.remove()

    exact = (seen[0][0, -1].double() @ head.weight.double().T).float()
    cap = getattr(network.config, "final_logit_softcapping", None)
    exact = exact if cap is None else cap * torch.tanh(exact / cap)
    assert (found - exact).abs().max() < 1e-4
    assert (rounded - exact).abs().max() > (found - exact).abs().max()


def test_gradients_pass_through_the_output_layer_in_float32(llama: Model) -> None:
    llama.network.to(torch.bfloat16)
    with llama.trainable(llama.parameters) as parameters:
        last_logits(llama, [tokens_of(llama, PROMPT)]).logsumexp(1).sum().backward()

        assert all(parameter.grad is not None for name, parameter in parameters.items() if "k_proj" not in name)


# -- attention -----------------------------------------------------------------------------------------


def test_capped_attention_is_computed_as_the_configuration_says(
    random_models: Callable[..., Model], saved: Callable[[Model], Path]
) -> None:
    folder = saved(random_models("gemma2"))
    located = locate("hf", {"pretrained": str(folder)}, "world")

    assert located.source.attention == "eager"
    assert load(located).network.config._attn_implementation == "eager"


def test_other_attention_is_sdpa_unless_another_is_asked_for(saved_model: Path) -> None:
    assert locate("hf", {"pretrained": str(saved_model)}, "world").source.attention == "sdpa"
    asked = locate("hf", {"pretrained": str(saved_model), "attention": "eager"}, "world")

    assert asked.source.attention == "eager"
    assert load(asked).network.config._attn_implementation == "eager"


def test_an_attention_that_does_not_exist_is_refused_with_those_that_do(saved_model: Path) -> None:
    with pytest.raises(UnlearnBenchError) as refused:
        locate("hf", {"pretrained": str(saved_model), "attention": "flashy"}, "world")

    assert "sdpa" in refused.value.hint


# -- tokenizers ----------------------------------------------------------------------------------------


def test_a_stored_tokenizer_is_read_as_it_was_whatever_the_architecture(
    model: Model, saved: Callable[[Model], Path]
) -> None:
    found = load(locate("hf", {"pretrained": str(saved(model))}, "world"))

    assert tokens_of(found, PROMPT) == tokens_of(model, PROMPT)
