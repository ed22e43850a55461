"""Blocks that stay as they are say the same each time: what the lowest other block reads is computed once and kept."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from unlearnbench.lazy import torch
from unlearnbench.model.hooks import forwarding
from unlearnbench.model.reading import Reached, padded

if TYPE_CHECKING:
    from unlearnbench.model.model import Model, Shortcut

ROOM = 2 << 30
"""Bytes that are kept at the most; what does not fit is computed each time. A constant, so that the same run rounds the
same way wherever there is memory enough for it."""


class Below:
    """What the first `blocks` blocks put out for each sequence, as long as none of them changes."""

    def __init__(self, model: Model, blocks: int, room: int = ROOM) -> None:
        self.blocks, self.room, self.bytes = blocks, room, 0
        self._model, self._under = model, model.below
        self._kept: dict[tuple[int, ...], torch.Tensor] = {}
        self._blocks = list(model.network.get_submodule(model.family.blocks).children())[:blocks]
        self._inside = [
            module for block in self._blocks for module in block.modules() if module is not self._blocks[-1]
        ]
        self._rest: tuple[Any, ...] | None = None
        """What the last of them puts out beside the residual stream; None where it puts out nothing else."""

    def watched(self) -> bool:
        """Whether there is a hook on one of their modules; on the last block as a whole it works all the same."""
        return any(module._forward_hooks or module._forward_pre_hooks for module in self._inside)

    def outputs(self, sequences: Sequence[list[int]]) -> torch.Tensor:
        """The residual stream [sequences, longest, width] after these blocks; zero behind a sequence's end."""
        missing = list({tuple(ids): ids for ids in sequences if tuple(ids) not in self._kept}.values())
        fresh = self._computed(missing) if missing else {}
        for key, rows in fresh.items():
            if self.bytes + rows.nbytes <= self.room:
                self._kept[key] = rows.clone()  # and not the whole batch that it is part of
                self.bytes += rows.nbytes
        found = [fresh[key] if (key := tuple(ids)) in fresh else self._kept[key] for ids in sequences]
        return torch.nn.utils.rnn.pad_sequence(found, batch_first=True)

    def _computed(self, sequences: list[list[int]]) -> dict[tuple[int, ...], torch.Tensor]:
        """The same for each of these, without gradients; the blocks above are not run."""
        seen = list[torch.Tensor]()

        def stop(_module: Any, _inputs: Any, output: Any) -> None:
            whole = output if isinstance(output, tuple) else (output,)
            seen.append(whole[0])
            self._rest = whole[1:] if isinstance(output, tuple) else None
            raise Reached

        # Before other hooks: what they change is changed anew each time.
        handle = self._blocks[-1].register_forward_hook(stop, prepend=True)
        ids, under = padded(self._model, sequences), self._under
        try:
            with torch.no_grad(), under.skipped(sequences) if under else nullcontext():
                self._model.network(input_ids=ids, use_cache=False)
        except Reached:
            pass
        finally:
            handle.remove()
        computed = self.blocks - (under.blocks if under else 0)
        self._model.tokens_forward += round(computed / self._model.blocks * ids.numel())
        return {tuple(row): stream[: len(row)] for row, stream in zip(sequences, seen[0], strict=True)}

    @contextmanager
    def skipped(self, sequences: Sequence[list[int]]) -> Iterator[None]:
        """Within: a forward pass over these sequences, padded on the right, begins with what is kept."""
        kept = self.outputs(sequences)
        rest = self._rest

        def passing(*_inputs: Any, **_named: Any) -> Any:
            return kept if rest is None else (kept, *rest)

        with ExitStack() as stack:
            for block in self._blocks:
                stack.enter_context(forwarding(block, passing))
            yield


def first_block(model: Model, tensors: Collection[str]) -> int:
    """The first block that says something else when these tensors change: 0 where one of them is outside all blocks."""
    if not model.has_components or not tensors:
        return 0
    return min(model.block_of(name) or 0 for name in tensors)


@contextmanager
def kept_below(model: Model, blocks: int, room: int = ROOM) -> Iterator[Shortcut | None]:
    """Within: the first `blocks` blocks are run once for each sequence; nothing may change them, or what they read.

    Yields None, and changes nothing, where there is nothing to save: no blocks, or a model that is in training mode,
    whose dropout says something else each time.
    """
    if blocks <= 0 or any(module.training for module in model.network.modules()):
        yield None
        return
    before = model.below
    if before is not None and before.blocks > blocks:
        raise ValueError(f"{before.blocks} blocks are taken to stay as they are, and block {blocks} is not to")
    model.below = before if before is not None and before.blocks == blocks else Below(model, blocks, room)
    try:
        yield model.below
    finally:
        model.below = before
