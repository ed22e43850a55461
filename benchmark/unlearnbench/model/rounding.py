"""Weights in few bits, simulated: what is left of an edit after quantization."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unlearnbench.lazy import torch

if TYPE_CHECKING:
    from unlearnbench.model.model import Model

GROUP = 64
"""Weights that share a scale."""


def rounded(weight: torch.Tensor, bits: int, group: int = GROUP) -> torch.Tensor:
    """Round to nearest, group by group of the last dimension: code · s with s = max|w| / (2^(bits−1) − 1).

    Symmetric, absmax, as bitsandbytes' int8 has it by rows; for 4 bits a plain grid instead of NF4's quantiles.
    """
    return codes(weight, bits, group)[0]


def round_matrices(model: Model, bits: int, group: int = GROUP) -> None:
    """Round the matrices of all components of a model."""
    model.write({name: rounded(model.parameters[name], bits, group) for name in model.matrices})


def codes(weight: torch.Tensor, bits: int, group: int = GROUP) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What each weight is rounded to, its code, and how far it is from the edge of its bin, in bins."""
    flat = weight.detach().float().reshape(-1, weight.shape[-1])
    width = flat.shape[-1]
    padded = torch.nn.functional.pad(flat, (0, -width % group)).reshape(flat.shape[0], -1, group)
    scale = padded.abs().amax(-1, keepdim=True).clamp_min(1e-30) / (2 ** (bits - 1) - 1)
    exact = padded / scale
    code = exact.round()
    margin = 0.5 - (exact - code).abs()
    shaped = [part.reshape(flat.shape[0], -1)[:, :width].reshape(weight.shape) for part in (code * scale, code, margin)]
    return shaped[0].to(weight.dtype), shaped[1], shaped[2]
