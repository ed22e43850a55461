"""Where every sublayer meets the residual stream, found in one forward pass of one token.

Found by looking, because names mislead: in Llama `post_attention_layernorm` is what the MLP reads through, in
Gemma-2 what the attention writes through.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from unlearnbench.families import Family


@dataclass(frozen=True)
class Wiring:
    """How one sublayer hangs on the residual stream, as module paths."""

    writes: str
    """The module whose output is added to the stream.

    It is the sublayer, or the norm between it and the stream (Gemma-2, Gemma-3, OLMo-2), or its output projection
    where the sublayer adds the stream itself (Bloom).
    """
    reads: tuple[str, ...] = ()
    """The matrices that the sublayer's input goes into."""
    output: str | None = None
    """The matrix that puts out what the sublayer does; None where there is no single one (experts)."""


class _Call(NamedTuple):
    """One call of one module; tensors are compared by identity, never by value."""

    path: str
    module: nn.Module
    given: Sequence[Tensor]
    gave: Tensor

    def was_given(self, tensor: Tensor) -> bool:
        return any(one is tensor for one in self.given)


@torch.no_grad()
def wiring(network: PreTrainedModel, family: Family) -> dict[str, Wiring]:
    """The connections of every attention and MLP, by module path; costs a forward pass of one token."""
    found: dict[str, Wiring] = {}
    for block, group in groupby(_calls(network, family.blocks), key=lambda call: _block_of(call.path, family)):
        calls = list(group)
        paths = [f"{block}.{family.attention}", f"{block}.{family.mlp}"]
        sublayers = [call for call in calls if call.path in paths]
        found |= {call.path: _wiring_of(call, calls, sublayers, block) for call in sublayers}
    return found


def _calls(network: PreTrainedModel, below: str) -> list[_Call]:
    """The calls of all modules below a path, in the order in which they returned."""
    calls: list[_Call] = []
    with ExitStack() as stack:
        for path, module in network.named_modules():
            if path.startswith(f"{below}."):

                def record(
                    module: nn.Module, inputs: Any, named: dict[str, Any], output: Any, path: str = path
                ) -> None:
                    gave = output[0] if isinstance(output, tuple) else output
                    if isinstance(gave, Tensor):
                        given = [one for one in (*inputs, *named.values()) if isinstance(one, Tensor)]
                        calls.append(_Call(path, module, given, gave))

                stack.callback(module.register_forward_hook(record, with_kwargs=True).remove)
        network(input_ids=torch.tensor([[0]], device=network.get_input_embeddings().weight.device), use_cache=False)
    return calls


def _block_of(path: str, family: Family) -> str:
    return f"{family.blocks}.{path.removeprefix(f'{family.blocks}.').split('.')[0]}"


def _wiring_of(sublayer: _Call, calls: Sequence[_Call], sublayers: Sequence[_Call], block: str) -> Wiring:
    """A module that returns what it was given (dropout, when not training) is no step on the way to the stream."""
    matrices = [c for c in calls if c.path.startswith(f"{sublayer.path}.") and isinstance(c.module, nn.Linear | Conv1D)]
    reads = tuple(c.path for c in matrices if any(c.was_given(tensor) for tensor in sublayer.given))
    output = next((c.path for c in matrices if c.gave is sublayer.gave), None)
    beside = [c for c in calls if c.path.rpartition(".")[0] == block and all(c is not other for other in sublayers)]
    step = next((c for c in beside if c.was_given(sublayer.gave) and c.gave is not sublayer.gave), None)
    whole = calls[-1]  # the block itself
    read_on = step is not None and any(other.was_given(step.gave) for other in sublayers)
    if matrices and (read_on or whole.gave is sublayer.gave):
        # It puts out the stream: what another sublayer reads through a norm, or what leaves the block.
        return Wiring(matrices[-1].path, reads, matrices[-1].path)
    return Wiring(step.path if step else sublayer.path, reads, output)
