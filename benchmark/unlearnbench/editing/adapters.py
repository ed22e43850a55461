"""LoRA adapters on a model, and off again: peft puts them in, and its modules are gone afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from unlearnbench.errors import UsageError
from unlearnbench.lazy import torch

if TYPE_CHECKING:
    from unlearnbench.model.model import Model

ALPHA = 2
"""α in units of the rank: an update enters the weights twice, as is usual."""
INSTEAD = "relearning trains all weights, and needs no adapters"


@contextmanager
def adapted(model: Model, rank: int, seed: int) -> Iterator[dict[str, torch.nn.Parameter]]:
    """Within: every projection but the output layer has an adapter of this rank, ΔW = α/r · BA, at first zero.

    Hu et al. (2021, arXiv 2106.09685). Yields the adapters' parameters, in float32. Raises `UsageError` for a
    matrix of the blocks that peft has no adapter for, such as the experts of a mixture: an attack on half of a model
    says nothing.
    """
    from peft import LoraConfig
    from peft.tuners.lora import LoraModel

    projections = _projections(model)
    before = {name: p.requires_grad for name, p in model.network.named_parameters()}
    config = LoraConfig(
        r=rank,
        lora_alpha=ALPHA * rank,
        lora_dropout=0.0,
        target_modules=projections,
        fan_in_fan_out=not isinstance(model.network.get_submodule(projections[0]), torch.nn.Linear),
    )
    try:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed % 2**63)
            try:
                LoraModel(model.network, config, "default")
            except ValueError as error:
                raise UsageError(f"peft puts no adapter on {type(model.network).__name__}: {error}", INSTEAD) from error
        yield {name: p for name, p in model.network.named_parameters() if "lora_" in name}
    finally:
        _take_out(model.network)
        for name, parameter in model.network.named_parameters():
            parameter.requires_grad_(before[name])


def merge(model: Model) -> None:
    """Write what the adapters come to into the weights; within `adapted`."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for module in model.network.modules():
        if isinstance(module, BaseTunerLayer):
            module.merge()


def _projections(model: Model) -> list[str]:
    """Modules of the blocks that get an adapter; of the whole model, where its blocks are not known by name."""
    from transformers.pytorch_utils import Conv1D

    head = model.network.get_output_embeddings()
    inside = f"{model.family.blocks}." if model.has_components else ""
    found = [
        name
        for name, module in model.network.named_modules()
        if isinstance(module, (torch.nn.Linear, Conv1D)) and module is not head and name.startswith(inside)
    ]
    missed = [n for n in (model.matrices if inside else ()) if n.rpartition(".")[0] not in found]
    if missed or not found:
        raise UsageError(
            f"peft has no adapter for {missed[0] if missed else f'any module of {type(model.network).__name__}'}",
            INSTEAD,
        )
    return found


def _take_out(network: torch.nn.Module) -> None:
    """Every module that peft has wrapped is itself again, also where it had not come to the end."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for name, module in list(network.named_modules()):
        if isinstance(module, BaseTunerLayer):
            parent, _, last = name.rpartition(".")
            setattr(network.get_submodule(parent), last, module.get_base_layer())
    if hasattr(network, "peft_config"):
        del network.peft_config
