"""Which places of which weights are one head's, or one half of a fused matrix: components taken apart, as data.

Sizes are read off the weights, not the configuration, so that heads may differ from block to block.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from unlearnbench.errors import UsageError
from unlearnbench.families import FUSED

if TYPE_CHECKING:
    from unlearnbench.model import Component, Model

SEPARATE = ("q_proj", "k_proj", "v_proj")
GATED = ("gate_proj", "up_proj")
FUSED_GATE = "gate_up_proj"  # all gates, then all that they let through


@dataclass(frozen=True)
class Slice:
    """Places `start` to `stop` along one axis of one parameter."""

    parameter: str
    axis: int
    start: int
    stop: int

    def of(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """Of weights, gradients or copies by parameter name: these places, as a view."""
        return tensors[self.parameter].narrow(self.axis, self.start, self.stop - self.start)


@dataclass(frozen=True)
class Matrix:
    """A linear map; its weight is stored as [outputs, inputs], in GPT-2 as [inputs, outputs]."""

    path: str
    inputs: int
    outputs: int
    input_axis: int
    """The axis of the weight that its inputs lie along: 1, in GPT-2 0."""
    has_bias: bool

    @classmethod
    def at(cls, network: nn.Module, path: str) -> "Matrix":
        """The matrix of the linear module at this path."""
        module = network.get_submodule(path)
        axis = 0 if isinstance(module, Conv1D) else 1
        weight: Any = module.weight
        return cls(path, weight.shape[axis], weight.shape[1 - axis], axis, getattr(module, "bias", None) is not None)

    def for_outputs(self, start: int, stop: int) -> tuple[Slice, ...]:
        """What these outputs are made with: a part of the weight, and of the bias if there is one."""
        weight = Slice(f"{self.path}.weight", 1 - self.input_axis, start, stop)
        return (weight, Slice(f"{self.path}.bias", 0, start, stop)) if self.has_bias else (weight,)

    def for_inputs(self, start: int, stop: int) -> Slice:
        """What is made of these inputs: a part of the weight. The bias belongs to no input."""
        return Slice(f"{self.path}.weight", self.input_axis, start, stop)


# -- heads ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Heads:
    """The heads of one attention, and where their weights are."""

    count: int
    """Query heads."""
    groups: int
    """Key heads, and as many value heads; `count / groups` query heads share one."""
    size: int
    """The width of a head."""
    queries: tuple[tuple[Slice, ...], ...]
    """For every query head: what its query is made with."""
    keys: tuple[tuple[Slice, ...], ...]
    """For every group: what its key is made with."""
    values: tuple[tuple[Slice, ...], ...]
    """For every group: what its value is made with."""
    outputs: tuple[Slice, ...]
    """For every query head: the part of the output projection that reads it; the bias is nobody's."""
    normalized_together: bool
    """Whether one norm spans the queries (the keys) of all heads, as in OLMo-2: then an edit of one query or key
    reaches every head."""

    def group_of(self, head: int) -> int:
        """The group whose key and value this query head uses."""
        return head // (self.count // self.groups)


def heads_of(model: "Model", block: int) -> Heads:
    """The heads of the attention of a block; raises `UsageError` where it is not known how they are stored."""
    component = model.components[f"attention.{block}"]
    attention = model.network.get_submodule(component.path)
    size = getattr(attention, "head_dim", None) or getattr(attention, "head_size", None)
    reads = _reads(model, component)
    order = "separate" if set(reads) == set(SEPARATE) else FUSED.get(type(attention).__name__)
    if not (size and order and component.output):
        raise _unknown(component, attention, "heads")
    output = Matrix.at(model.network, component.output)
    count = output.inputs // size
    if order == "separate":
        matrices = [reads[name] for name in SEPARATE]
        groups = matrices[1].outputs // size
    else:
        matrices = [*reads.values()] * 3
        groups = (matrices[0].outputs // size - count) // 2
    places = _places(order, count, groups)
    whole = count * size == output.inputs and sum(map(len, places)) * size == sum(m.outputs for m in reads.values())
    if not whole or groups < 1 or count % groups:
        raise _unknown(component, attention, "heads")
    queries, keys, values = (
        tuple(matrix.for_outputs(place * size, (place + 1) * size) for place in mine)
        for matrix, mine in zip(matrices, places, strict=True)
    )
    outputs = tuple(output.for_inputs(head * size, (head + 1) * size) for head in range(count))
    return Heads(count, groups, size, queries, keys, values, outputs, _normalized_together(attention, size))


def _places(order: str, count: int, groups: int) -> tuple[range, range, range]:
    """Where the queries, the keys and the values are among the outputs of their matrix; one place is one head wide."""
    match order:
        case "separate":
            return range(count), range(groups), range(groups)
        case "stacked":
            return range(count), range(count, count + groups), range(count + groups, count + 2 * groups)
        case _:
            return range(0, 3 * count, 3), range(1, 3 * count, 3), range(2, 3 * count, 3)


def _normalized_together(attention: nn.Module, size: int) -> bool:
    norms = [child for name, child in attention.named_children() if name in ("q_norm", "k_norm")]
    weights = [getattr(norm, "weight", None) for norm in norms]
    return any(isinstance(weight, Tensor) and weight.shape[-1] > size for weight in weights)


# -- neurons -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Neurons:
    """The hidden layer of one MLP, and where its weights are."""

    count: int
    gate: tuple[Slice, ...]
    """What all gates are made with; empty in an MLP without gates."""
    up: tuple[Slice, ...]
    """What all that passes the gates is made with."""
    outputs: Slice
    """The output projection's weight: what it makes of the neurons."""


def neurons_of(model: "Model", block: int) -> Neurons:
    """The hidden layer of the MLP of a block; raises `UsageError` where it is not known how it is stored."""
    component = model.components[f"mlp.{block}"]
    reads = _reads(model, component)
    if component.output is None:
        raise _unknown(component, model.network.get_submodule(component.path), "neurons")
    output = Matrix.at(model.network, component.output)
    count = output.inputs
    gate: tuple[Slice, ...] = ()
    if set(reads) == set(GATED):
        gate, up = (reads[name].for_outputs(0, count) for name in GATED)
    elif set(reads) == {FUSED_GATE} and reads[FUSED_GATE].outputs == 2 * count:
        gate, up = (reads[FUSED_GATE].for_outputs(start, start + count) for start in (0, count))
    elif [matrix.outputs for matrix in reads.values()] == [count]:
        (up,) = (matrix.for_outputs(0, count) for matrix in reads.values())
    else:
        raise _unknown(component, model.network.get_submodule(component.path), "neurons")
    return Neurons(count, gate, up, output.for_inputs(0, count))


def _reads(model: "Model", component: "Component") -> dict[str, Matrix]:
    """The matrices that read the component's input, by the last part of their path."""
    return {path.rpartition(".")[2]: Matrix.at(model.network, path) for path in component.reads}


def _unknown(component: "Component", module: nn.Module, what: str) -> UsageError:
    found = ", ".join(path.rpartition(".")[2] for path in component.reads) or "no matrix"
    kind = type(module).__name__
    return UsageError(
        f"it is not known how {component.name}, a {kind} that reads through {found}, stores its {what}",
        "say it in unlearnbench/families.py (CONTRIBUTING.md, 'a model family')",
    )
