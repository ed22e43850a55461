"""One small model with random weights per architecture: every quirk of the family is switched on and bites."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from unlearnbench.model.model import Model

BLOCKS, WIDTH, HEADS, GROUPS, WINDOW = 3, 32, 4, 2, 4
_ENDS = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 1, "initializer_range": 0.2}
_SHARED = {
    "hidden_size": WIDTH,
    "intermediate_size": 48,
    "num_hidden_layers": BLOCKS,
    "num_attention_heads": HEADS,
    "max_position_embeddings": 128,
}
_GROUPED = {**_SHARED, "num_key_value_heads": GROUPS}
_WIDE = {**_GROUPED, "head_dim": 16}  # heads together are wider than the stream
_ALTERNATING = {"sliding_window": WINDOW, "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}
_CAPPED = {"attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0, "query_pre_attn_scalar": 8}
_FALCON = {"hidden_size": WIDTH, "num_hidden_layers": BLOCKS, "num_attention_heads": HEADS, "alibi": False}

CONFIGS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "llama": ("LlamaConfig", {**_GROUPED, "attention_bias": True, "mlp_bias": True}),
    "mistral": ("MistralConfig", {**_GROUPED, "sliding_window": WINDOW}),
    "qwen2": ("Qwen2Config", {**_GROUPED, "tie_word_embeddings": True}),
    "qwen3": ("Qwen3Config", {**_WIDE, "attention_bias": True}),
    "gemma": ("GemmaConfig", {**_WIDE, "num_key_value_heads": 1}),
    "gemma2": ("Gemma2Config", {**_WIDE, **_ALTERNATING, **_CAPPED}),
    "gemma3": ("Gemma3TextConfig", {**_WIDE, **_ALTERNATING, "query_pre_attn_scalar": 8}),
    "gpt_neox": ("GPTNeoXConfig", {**_SHARED, "use_parallel_residual": True}),
    "gpt_neox_in_sequence": ("GPTNeoXConfig", {**_SHARED, "use_parallel_residual": False}),
    "gpt2": ("GPT2Config", {"n_embd": WIDTH, "n_layer": BLOCKS, "n_head": HEADS, "n_positions": 128, "n_inner": 48}),
    "olmo2": ("Olmo2Config", {**_GROUPED, "attention_bias": True}),
    "phi3": ("Phi3Config", {**_GROUPED, "sliding_window": WINDOW}),
    "starcoder2": ("Starcoder2Config", {**_GROUPED, "sliding_window": WINDOW}),
    "cohere": ("CohereConfig", {**_GROUPED, "logit_scale": 0.5}),
    "falcon_7b": ("FalconConfig", {**_FALCON, "multi_query": True, "parallel_attn": True}),
    "falcon_40b": ("FalconConfig", {**_FALCON, "new_decoder_architecture": True, "num_kv_heads": GROUPS}),
    "falcon_rw": ("FalconConfig", {**_FALCON, "multi_query": False, "parallel_attn": False, "bias": True}),
}
"""By architecture: the class of the configuration, and what it is given."""
ARCHITECTURES = (*CONFIGS, "gemma3_multimodal")
ONE_GROUP = ("gemma", "falcon_7b")
EVERY_HEAD = ("gpt_neox", "gpt_neox_in_sequence", "gpt2", "falcon_rw")
GROUPS_OF = {name: 1 if name in ONE_GROUP else HEADS if name in EVERY_HEAD else GROUPS for name in ARCHITECTURES}
"""How many heads have keys and values of their own."""


def _config(architecture: str, vocabulary: int) -> PretrainedConfig:
    if architecture == "gemma3_multimodal":
        text = _config("gemma3", vocabulary).to_dict()
        sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
        vision = {**sizes, "image_size": 8, "patch_size": 4, "model_type": "siglip_vision_model"}
        return transformers.Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=4)
    kind, settings = CONFIGS[architecture]
    config: PretrainedConfig = getattr(transformers, kind)(**{**_ENDS, **settings, "vocab_size": vocabulary})
    return config


def random_network(config: PretrainedConfig, make: Callable[..., PreTrainedModel] | None = None) -> PreTrainedModel:
    """A network of this configuration; no bias is left at 0 and no norm at 1."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = make(config) if make else AutoModelForCausalLM.from_config(config)
        with torch.no_grad():
            for parameter in network.parameters():
                if parameter.dim() == 1:
                    parameter.add_(0.3 * torch.randn_like(parameter))
    return network


def random_model(architecture: str, tokenizer: PreTrainedTokenizerBase) -> Model:
    """A fresh model of one of `ARCHITECTURES`."""
    make = transformers.Gemma3ForConditionalGeneration if architecture == "gemma3_multimodal" else None
    return Model(random_network(_config(architecture, len(tokenizer)), make), tokenizer)
