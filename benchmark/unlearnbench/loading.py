"""From files to a `Model`: the only place where weights are read."""

import sys
from collections.abc import Mapping
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel
from transformers.utils.logging import disable_progress_bar

from unlearnbench.errors import MissingPrerequisite
from unlearnbench.model import Model
from unlearnbench.organisms.shipped import oracle_folder
from unlearnbench.source import Located


def load(located: Located, device: str = "cpu") -> Model:
    """Load a model in its source's dtype. Safetensors only, no code of the model's own."""
    network = _network(located.folder, located.source.name, getattr(torch, located.source.dtype), located.device_map)
    if located.device_map is None:
        network.to(device)
    tokenizer = AutoTokenizer.from_pretrained(located.folder, trust_remote_code=False, local_files_only=True)
    return Model(network, tokenizer, chat=located.source.chat_template)


def oracle_tensors(organism: str, facts: str) -> Mapping[str, torch.Tensor]:
    """The shipped weights of the oracle of this fact set by parameter, in float32.

    Raises `FileNotFoundError` where none is shipped: ask `oracle_folder` first.
    """
    folder = oracle_folder(organism, facts)
    if folder is None:
        raise FileNotFoundError(f"{organism} has no oracle for {facts}")
    # Not straight from the file: there a tensor may have another name than its parameter (GPT-NeoX's head).
    network = _network(folder, f"{organism}'s oracle", torch.float32, None)
    return {name: parameter.detach() for name, parameter in network.named_parameters()}


def _network(folder: Path, name: str, dtype: torch.dtype, device_map: str | None) -> PreTrainedModel:
    if not sys.stderr.isatty():
        disable_progress_bar()
    network, found = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=dtype,
        use_safetensors=True,
        trust_remote_code=False,
        device_map=device_map,
        local_files_only=True,
        output_loading_info=True,
    )
    if found["missing_keys"]:
        missing = sorted(found["missing_keys"])
        raise MissingPrerequisite(
            f"{name} lacks tensors that its architecture needs: {missing[0]!r} ({len(missing)} in all)",
            "download or save the model again",
        )
    loaded: PreTrainedModel = network
    return loaded
