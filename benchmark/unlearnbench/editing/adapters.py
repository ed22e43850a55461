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


@contextmanager
def adapted(model: Model, rank: int, seed: int) -> Iterator[dict[str, torch.nn.Parameter]]:
    """Within: every projection but the output layer has an adapter of this rank, ΔW = α/r · BA, at first zero.

    Hu et al. (2021, arXiv 2106.09685). Yields the adapters' parameters, in float32. Raises `UsageError` for a model
    without projections that peft knows.
    """
    import transformers
    from peft import LoraConfig
    from peft.tuners.lora import LoraModel

    model.has_components  # noqa: B018 – what is where is looked at before adapters are among it
    kinds = (torch.nn.Linear, transformers.pytorch_utils.Conv1D)
    head = model.network.get_output_embeddings()
    projections = [n for n, m in model.network.named_modules() if isinstance(m, kinds) and m is not head]
    if not projections:
        raise UsageError(
            f"there is no linear projection in {type(model.network).__name__} that peft could put an adapter on",
            "attack all weights instead: rank=0",
        )
    before = {name: p.requires_grad for name, p in model.network.named_parameters()}
    config = LoraConfig(
        r=rank,
        lora_alpha=ALPHA * rank,
        lora_dropout=0.0,
        target_modules=projections,
        fan_in_fan_out=isinstance(model.network.get_submodule(projections[0]), kinds[1]),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed % 2**63)
        tuner = LoraModel(model.network, config, "default")
    try:
        yield {name: p for name, p in model.network.named_parameters() if "lora_" in name}
    finally:
        tuner.unload()
        for name, parameter in model.network.named_parameters():
            parameter.requires_grad_(before[name])
