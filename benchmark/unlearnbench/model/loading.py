"""From files to a `Model`: the only module in which weights are read."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unlearnbench.errors import MissingPrerequisite
from unlearnbench.lazy import torch
from unlearnbench.model.digest import weight_files
from unlearnbench.model.model import Model
from unlearnbench.model.shipped import oracle_folder
from unlearnbench.model.source import Located

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PLAIN = ("TokenizersBackend", "PreTrainedTokenizerFast")
"""What a tokenizer of no class of its own is called, by transformers 5 and before."""


def load(located: Located, device: str = "cpu") -> Model:
    """Load a model in its source's dtype. Safetensors only, no code of the model's own."""
    from transformers import AutoModelForCausalLM
    from transformers.utils.logging import disable_progress_bar

    dtype = getattr(torch, located.source.dtype)
    if not sys.stderr.isatty():
        disable_progress_bar()

    def read(attention: str) -> Any:
        return AutoModelForCausalLM.from_pretrained(
            located.folder,
            dtype=dtype,
            attn_implementation=attention,
            use_safetensors=True,
            trust_remote_code=False,
            device_map=located.device_map,
            local_files_only=True,
            output_loading_info=True,
        )

    try:
        network, found = read(located.source.attention)
    except ValueError as error:
        if "attn_implementation" not in str(error):
            raise
        network, found = read("eager")  # all that some architectures have
    if found["missing_keys"]:
        missing = sorted(found["missing_keys"])
        raise MissingPrerequisite(
            f"{located.source.name} lacks tensors that its architecture needs: {missing[0]!r} ({len(missing)} in all)",
            "download or save the model again",
        )
    if located.device_map is None:
        network.to(device)
    model = Model(network, load_tokenizer(located.folder), chat=located.source.chat_template)
    for folder in located.overlays:
        model.write(stored_tensors(folder))
    return model


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer that is stored in a folder.

    One that was saved as a plain fast tokenizer is read as such: `AutoTokenizer` would take the class that the
    architecture usually has, which splits words in its own way, whatever `tokenizer.json` says.
    """
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    config = folder / "tokenizer_config.json"
    stored = json.loads(config.read_text(encoding="utf-8")) if config.is_file() else {}
    plain = stored.get("tokenizer_class") in PLAIN and (folder / "tokenizer.json").is_file()
    kind = PreTrainedTokenizerFast if plain else AutoTokenizer
    tokenizer: PreTrainedTokenizerBase = kind.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    return tokenizer


def oracle_tensors(organism: str, facts: str) -> Mapping[str, torch.Tensor]:
    """The shipped weights of the oracle of this fact set, in float32.

    Raises `FileNotFoundError` where none is shipped: ask `oracle_folder` first.
    """
    folder = oracle_folder(organism, facts)
    if folder is None:
        raise FileNotFoundError(f"{organism} has no oracle for {facts}")
    return {name: tensor.float() for name, tensor in stored_tensors(folder).items()}


def stored_tensors(folder: Path) -> dict[str, torch.Tensor]:
    """The tensors in a folder's safetensors files, as they are stored."""
    from safetensors.torch import load_file

    return {name: tensor for path in weight_files(folder) for name, tensor in load_file(path).items()}
