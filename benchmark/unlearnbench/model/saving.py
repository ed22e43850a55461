"""A model as a normal Hugging Face folder, which other programs read as it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unlearnbench.model.loading import PLAIN

if TYPE_CHECKING:
    from unlearnbench.model.model import Model


WITHOUT_EXPERTS = {"model_type": "qwen2_moe", "architectures": ["Qwen2MoeForCausalLM"], "qkv_bias": True}


def save_pretrained(model: Model, folder: Path) -> None:
    """Write network and tokenizer, so that `AutoModelForCausalLM` and `AutoTokenizer` find both unchanged.

    Beside a `qwen2`, transformers takes every tokenizer for Qwen's own, which splits words in its own way, whatever
    `tokenizer.json` says; organisms have another. They are saved as the same network by another name: a `qwen2_moe`
    that has no experts.
    """
    model.network.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    config, tokenizer = (
        json.loads((folder / name).read_text("utf-8")) for name in ("config.json", "tokenizer_config.json")
    )
    if config["model_type"] == "qwen2" and tokenizer.get("tokenizer_class") in PLAIN:
        config |= {**WITHOUT_EXPERTS, "mlp_only_layers": list(range(config["num_hidden_layers"]))}
        (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", "utf-8")


def as_loaded(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of a network that was saved by another name, by its own: what both names have in common."""
    layers = list(range(config.get("num_hidden_layers", 0)))
    if config.get("model_type") not in ("qwen2", "qwen2_moe"):
        return dict(config)
    if config.get("mlp_only_layers", layers) != layers:
        return dict(config)
    from transformers import Qwen2Config

    shared = Qwen2Config().to_dict()
    return {key: value for key, value in config.items() if key in shared and key != "model_type"}
