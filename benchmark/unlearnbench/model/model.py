"""A Hugging Face causal language model with named components, and with undo.

Everything that changes the model is a context manager that puts it back.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from unlearnbench.errors import UsageError
from unlearnbench.model.digest import TensorBytes, tensor_digests
from unlearnbench.model.families import Family, family_of

_DTYPE_NAMES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.float64: "F64"}


@dataclass(frozen=True)
class Component:
    """One sublayer, named `attention.3` or `mlp.3`."""

    name: str
    path: str
    """Where its module is."""
    parameters: tuple[str, ...]
    size: int
    """How many weights it has."""


class Model:
    """A causal language model, its tokenizer, and names for its parts."""

    def __init__(self, network: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        self.network = network.eval()
        self.tokenizer = tokenizer
        names = {name for name, _ in network.named_modules()}
        self.family: Family = family_of(names, type(network).__name__)
        self._contexts: dict[str, list[int]] = {}
        self._encoded: dict[tuple[str, str], tuple[list[int], list[int]]] = {}
        self.tokens_forward = self.tokens_backward = 0
        """Tokens processed so far, for the FLOP estimate."""

    # -- names -------------------------------------------------------------------------------------

    @cached_property
    def parameters(self) -> Mapping[str, nn.Parameter]:
        """Every parameter by name; tied parameters once."""
        return dict(self.network.named_parameters())

    @cached_property
    def components(self) -> Mapping[str, Component]:
        """The attention and the MLP of every block, in order of depth."""
        found = {}
        for block in range(self.blocks):
            for kind, path in (("attention", self.family.attention), ("mlp", self.family.mlp)):
                where = f"{self.family.blocks}.{block}.{path}"
                mine = tuple(name for name in self.parameters if name.startswith(f"{where}."))
                found[f"{kind}.{block}"] = Component(f"{kind}.{block}", where, mine, self.size(mine))
        return found

    @cached_property
    def blocks(self) -> int:
        """The number of transformer blocks."""
        return len(self.network.get_submodule(self.family.blocks))  # type: ignore[arg-type]

    @cached_property
    def block_size(self) -> int:
        """Weights in all components: what budgets are shares of."""
        return sum(component.size for component in self.components.values())

    def size(self, names: Iterable[str]) -> int:
        """How many weights these parameters have."""
        return sum(self.parameters[name].numel() for name in names)

    @property
    def device(self) -> torch.device:
        """Where inputs go."""
        device: torch.device = self.network.get_input_embeddings().weight.device
        return device

    def tensor_digests(self) -> dict[str, str]:
        """The digest of every parameter as it is now."""
        return tensor_digests(
            TensorBytes(name, _DTYPE_NAMES[p.dtype], tuple(p.shape), _bytes_of(p.detach()))
            for name, p in self.parameters.items()
        )

    # -- reading -----------------------------------------------------------------------------------

    def encode(self, prompt: str, continuation: str) -> tuple[list[int], list[int]]:
        """Token ids of the prompt, and of the continuation after the space that joins the two.

        The whole text is encoded at once and split where the prompt ends, so that tokens are those of
        running text. Raises `UsageError` where nothing is left for either part.
        """
        key = (prompt, continuation)
        if key not in self._encoded:
            if prompt not in self._contexts:
                self._contexts[prompt] = list(self.tokenizer(prompt).input_ids)
            context = self._contexts[prompt]
            whole = list(self.tokenizer(f"{prompt} {continuation}").input_ids)
            end = 0
            while end < min(len(context), len(whole) - 1) and context[end] == whole[end]:
                end += 1
            if end == 0:
                raise UsageError(f"the tokenizer leaves nothing of prompt {prompt!r} or answer {continuation!r}")
            self._encoded[key] = (whole[:end], whole[end:])
        return self._encoded[key]

    def logits_at(self, sequences: list[list[int]], rows: list[int], columns: list[int]) -> Tensor:
        """Logits [N, vocabulary] after the N tokens at (row, column), in float32.

        The sequences are padded on the right, where a causal model cannot look. Only the hidden
        states that are asked for pass through the output layer, inside the model's own forward: scaling
        and soft-capping that an architecture applies to logits are applied here too.
        """
        longest = max(map(len, sequences))
        padded = [ids + [0] * (longest - len(ids)) for ids in sequences]
        head = self.network.get_output_embeddings()

        def choose(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor]:
            hidden = inputs[0]  # with device_map, not on the device of the embeddings
            places = torch.tensor(rows, device=hidden.device), torch.tensor(columns, device=hidden.device)
            return (hidden[places][None],)

        handle = head.register_forward_pre_hook(choose)
        try:
            ids = torch.tensor(padded, device=self.device)
            logits = self.network(input_ids=ids, use_cache=False).logits
        finally:
            handle.remove()
        self.tokens_forward += len(sequences) * longest
        if logits.requires_grad:
            self.tokens_backward += len(sequences) * longest
        found: Tensor = logits[0].float()
        return found

    @contextmanager
    def intervened(self, interventions: Mapping[str, Callable[[Tensor], Tensor]]) -> Iterator[None]:
        """Within: the output of each module (by path) is replaced by a function of itself."""
        with ExitStack() as stack:
            for path, change in interventions.items():
                handle = self.network.get_submodule(path).register_forward_hook(_replacing(change))
                stack.callback(handle.remove)
            yield

    @contextmanager
    def tap(self) -> Iterator[dict[str, Tensor]]:
        """Within: the outputs [batch, positions, width] of all components at the latest forward pass.

        Where gradients are enabled they can be differentiated with respect to, though no weight is.
        """
        seen: dict[str, Tensor] = {}

        def keep(name: str) -> Callable[[Tensor], Tensor]:
            def record(output: Tensor) -> Tensor:
                seen[name] = output
                return output

            return record

        def start(output: Tensor) -> Tensor:
            return output.detach().requires_grad_() if torch.is_grad_enabled() else output

        embeddings = self.network.get_input_embeddings()
        paths: dict[str, Callable[[Tensor], Tensor]] = {c.path: keep(n) for n, c in self.components.items()}
        paths |= {name: start for name, module in self.network.named_modules() if module is embeddings}
        with self.trainable(()), self.intervened(paths):
            yield seen

    # -- changing, and putting back ----------------------------------------------------------------

    @contextmanager
    def trainable(self, names: Iterable[str]) -> Iterator[dict[str, nn.Parameter]]:
        """Within: only these parameters have gradients."""
        wanted = set(names)
        before = {name: p.requires_grad for name, p in self.parameters.items()}
        try:
            for name, parameter in self.parameters.items():
                parameter.requires_grad_(name in wanted)
            yield {name: p for name, p in self.parameters.items() if name in wanted}
        finally:
            for name, parameter in self.parameters.items():
                parameter.requires_grad_(before[name])
                parameter.grad = None

    @contextmanager
    def restored(self, names: Iterable[str] | None = None) -> Iterator[dict[str, Tensor]]:
        """Within: the weights may be changed; afterwards they are what they were, bit for bit.

        Yields the copies. `names` limits the copying to the parameters that will change.
        """
        copies = {n: self.parameters[n].detach().clone() for n in (self.parameters if names is None else names)}
        try:
            yield copies
        finally:
            with torch.no_grad():
                for name, copy in copies.items():
                    self.parameters[name].copy_(copy)


def _replacing(change: Callable[[Tensor], Tensor]) -> Callable[..., Any]:
    def hook(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            return (change(output[0]), *output[1:])
        return change(output)

    return hook


def _bytes_of(tensor: Tensor) -> bytes:
    flat = tensor.contiguous().cpu().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""
