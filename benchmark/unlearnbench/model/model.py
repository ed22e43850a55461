"""A Hugging Face causal language model with named components, and with undo.

Everything that changes the model is a context manager that puts it back.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from unlearnbench.errors import UsageError
from unlearnbench.lazy import torch
from unlearnbench.model.check import output_without_weights
from unlearnbench.model.digest import TensorBytes, tensor_digests
from unlearnbench.model.families import Family, family_of, refuse_irregular
from unlearnbench.model.projections import projections_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

EMBEDDINGS = "embeddings"


@dataclass(frozen=True)
class Component:
    """One sublayer, named `attention.3` or `mlp.3`, or the embeddings."""

    name: str
    path: str
    """Where its module is."""
    parameters: tuple[str, ...]
    size: int
    """How many weights it has."""


class Shortcut(Protocol):
    """Blocks whose output is known, so that a forward pass can begin behind them (`below.kept_below`)."""

    blocks: int
    """How many of them."""

    def watched(self) -> bool:
        """Whether somebody listens to, or changes, what these blocks say before their end: then they have to run."""

    def skipped(self, sequences: Sequence[list[int]]) -> AbstractContextManager[None]:
        """Within: a forward pass over these sequences, padded on the right, does not run them."""


class Model:
    """A causal language model, its tokenizer, and names for its parts."""

    def __init__(self, network: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, *, chat: bool = False) -> None:
        self.network = network.eval()
        self.tokenizer = tokenizer
        self.chat = chat
        """Whether prompts stand as a user's turn in the tokenizer's chat template."""
        self.contexts: dict[str, list[int]] = {}
        """Tokens of prompts seen before …"""
        self.encoded: dict[tuple[str, str], tuple[list[int], list[int]]] = {}
        """… and of prompts with their continuations (`reading.encode`)."""
        self.below: Shortcut | None = None
        """What need not be computed again."""
        self.tokens_forward = self.tokens_backward = 0
        """Tokens processed so far, for the FLOP estimate."""

    # -- names -------------------------------------------------------------------------------------

    @cached_property
    def family(self) -> Family:
        """What blocks and sublayers are called; raises `UsageError` where no family fits."""
        return family_of({name for name, _ in self.network.named_modules()}, type(self.network).__name__)

    @cached_property
    def has_components(self) -> bool:
        """Whether its attentions and MLPs are known by name; without them it can only be edited as a whole."""
        try:
            return bool(self.components)
        except UsageError:
            return False

    @cached_property
    def added_at_end(self) -> tuple[int, ...]:
        """The tokens that the tokenizer adds after a text, such as an EOS."""
        plain = list(self.tokenizer("a", add_special_tokens=False).input_ids)
        whole = list(self.tokenizer("a").input_ids)
        starts = (at for at in range(len(whole)) if whole[at : at + len(plain)] == plain)
        return tuple(whole[next(starts, len(whole)) + len(plain) :])

    @cached_property
    def parameters(self) -> Mapping[str, torch.nn.Parameter]:
        """Every parameter by name; tied parameters once."""
        return dict(self.network.named_parameters())

    @cached_property
    def components(self) -> Mapping[str, Component]:
        """The attention and the MLP of every block, in order of depth.

        Raises `UsageError` for a model of no known family, or one whose modules are not what the family says.
        """
        found = {}
        for block in range(self.blocks):
            for kind, path in (("attention", self.family.attention), ("mlp", self.family.mlp)):
                where = f"{self.family.blocks}.{block}.{path}"
                mine = tuple(name for name in self.parameters if name.startswith(f"{where}."))
                found[f"{kind}.{block}"] = Component(f"{kind}.{block}", where, mine, self.size(mine))
        refuse_irregular(found.values(), {name for name, _ in self.network.named_modules()})
        # Blocks are alike, so the first and the last are looked at.
        for name in dict.fromkeys((*list(found)[:2], *list(found)[-2:])):
            left = output_without_weights(self.network, found[name].path, self.device)
            if left > 0:
                raise UsageError(
                    f"{found[name].path} is not what family {self.family.name!r} takes it for: with its weights at"
                    f" zero it still puts out up to {left:.3g}, such as the residual stream that it adds itself",
                    "methods that need no components run all the same, such as full_finetune",
                )
        return found

    @cached_property
    def projections(self) -> Mapping[str, str]:
        """The matrix with which each component writes, by path; those that end otherwise have none."""
        return projections_of(self.network, {n: one.path for n, one in self.components.items()}, self.device)

    @cached_property
    def matrices(self) -> Sequence[str]:
        """The matrices of all components, by name: what is quantized, pruned, made noisy."""
        return [n for one in self.components.values() for n in one.parameters if self.parameters[n].dim() > 1]

    @cached_property
    def places(self) -> Mapping[str, Component]:
        """Where facts can be written: `embeddings` and every component.

        `embeddings` are the vectors of the tokens that are read; where they are tied, those that are predicted, too.
        """
        module = self.network.get_input_embeddings()
        path = next(name for name, other in self.network.named_modules() if other is module)
        mine = tuple(name for name, parameter in self.parameters.items() if parameter is module.weight)
        return {EMBEDDINGS: Component(EMBEDDINGS, path, mine, self.size(mine)), **self.components}

    @property
    def stream_paths(self) -> list[str]:
        """The modules that the residual stream comes out of: the embeddings, then every block."""
        blocks = (f"{self.family.blocks}.{block}" for block in range(self.blocks))
        return [self.places[EMBEDDINGS].path, *blocks]

    @cached_property
    def blocks(self) -> int:
        """The number of transformer blocks."""
        return len(self.network.get_submodule(self.family.blocks))  # type: ignore[arg-type]

    def block_of(self, parameter: str) -> int | None:
        """The block that a parameter is in; None where it is in none. Raises `UsageError` where no family fits."""
        inside = parameter.removeprefix(f"{self.family.blocks}.")
        return None if inside == parameter else int(inside.partition(".")[0])

    @cached_property
    def block_size(self) -> int:
        """Weights in all components: what budgets are shares of."""
        return sum(component.size for component in self.components.values())

    def size(self, names: Iterable[str]) -> int:
        """How many weights these parameters have."""
        return sum(self.parameters[name].numel() for name in names)

    @property
    def vocabulary(self) -> int:
        """How many tokens it has logits for."""
        return int(self.network.config.get_text_config().vocab_size)

    @property
    def width(self) -> int:
        """Of the residual stream."""
        return int(self.network.config.get_text_config().hidden_size)

    @property
    def context(self) -> int:
        """How many tokens it reads at once, as far as its configuration says; 2048 where it does not."""
        return int(getattr(self.network.config.get_text_config(), "max_position_embeddings", None) or 2048)

    @property
    def device(self) -> torch.device:
        """Where inputs go."""
        device: torch.device = self.network.get_input_embeddings().weight.device
        return device

    def tensor_digests(self) -> dict[str, str]:
        """The digest of every parameter as it is now."""
        return tensor_digests(tensor_bytes(name, p.detach()) for name, p in self.parameters.items())

    def shortcut(self) -> Shortcut | None:
        """What the forward pass that is about to begin need not compute, or None."""
        return None if self.below is None or self.below.watched() else self.below

    # -- changing, and putting back ----------------------------------------------------------------

    @contextmanager
    def trainable(self, names: Iterable[str]) -> Iterator[dict[str, torch.nn.Parameter]]:
        """Within: only these parameters have gradients."""
        wanted = set(names)
        before = {name: p.requires_grad for name, p in self.parameters.items()}
        try:
            for name, parameter in self.parameters.items():
                parameter.requires_grad_(name in wanted)
                parameter.grad = None  # what somebody left would be added to the first step
            yield {name: p for name, p in self.parameters.items() if name in wanted}
        finally:
            for name, parameter in self.parameters.items():
                parameter.requires_grad_(before[name])
                parameter.grad = None

    @contextmanager
    def restored(self, names: Iterable[str] | None = None) -> Iterator[dict[str, torch.Tensor]]:
        """Within: the weights may be changed; afterwards they are what they were, bit for bit.

        Yields the copies. `names` limits the copying to the parameters that will change.
        """
        copies = {n: self.parameters[n].detach().clone() for n in (self.parameters if names is None else names)}
        try:
            yield copies
        finally:
            self.write(copies)

    def frozen_copy(self, changing: Iterable[str]) -> Model:
        """A second model that stays as this one is now though these parameters change; it has its own copies of them.

        All others belong to both. It is for reading without gradients.
        """
        own = {id(self.parameters[name]) for name in changing}
        shared = {id(one): one for one in self.parameters.values() if id(one) not in own}
        network = copy.deepcopy(self.network, memo=dict[int, Any](shared))
        for parameter in network.parameters():
            if id(parameter) not in shared:
                parameter.requires_grad_(False)
        return Model(network, self.tokenizer, chat=self.chat)

    def write(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Put these values into the parameters of these names."""
        with torch.no_grad():
            for name, tensor in tensors.items():
                self.parameters[name].copy_(tensor)


def tensor_bytes(name: str, tensor: torch.Tensor) -> TensorBytes:
    """A tensor as data, in safetensors' words."""
    flat = tensor.contiguous().cpu().reshape(-1)
    data = flat.view(torch.uint8).numpy().data if flat.numel() else b""
    return TensorBytes(name, _dtype_name(tensor.dtype), tuple(tensor.shape), data)


def _dtype_name(dtype: torch.dtype) -> str:
    known = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.float64: "F64"}
    return known.get(dtype, str(dtype).removeprefix("torch."))
