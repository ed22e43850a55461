"""From files to a `Model`: the only module in which weights are read."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unlearnbench.errors import MissingPrerequisite
from unlearnbench.lazy import torch
from unlearnbench.model.digest import weight_files
from unlearnbench.model.model import Model
from unlearnbench.model.shipped import oracle_folder
from unlearnbench.model.source import Located


def load(located: Located, device: str = "cpu") -> Model:
    """Load a model in its source's dtype. Safetensors only, no code of the model's own."""
    from transformers import AutoModelForCausalLM, AutoTokenizer
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
    tokenizer = AutoTokenizer.from_pretrained(located.folder, trust_remote_code=False, local_files_only=True)
    model = Model(network, tokenizer)
    for folder in located.overlays:
        model.write(stored_tensors(folder))
    return model


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
