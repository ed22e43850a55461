"""Second moments of keys, kept on disk: of a large model they take longer than all edits of a run."""

from __future__ import annotations

import inspect
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError

from unlearnbench.editing import memory as memory_module
from unlearnbench.editing.memory import Memory
from unlearnbench.hashing import content_hash, text_hash
from unlearnbench.lazy import torch
from unlearnbench.model import reading
from unlearnbench.model.digest import weights_digest

if TYPE_CHECKING:
    from unlearnbench.model.model import Model

VARIABLE = "UNLEARNBENCH_CACHE"


def cache_folder() -> Path:
    """Where what can be computed again is kept: $UNLEARNBENCH_CACHE, or `~/.cache/unlearnbench`."""
    return Path(os.environ.get(VARIABLE) or Path.home() / ".cache" / "unlearnbench")


def second_moments(model: Model, memories: Sequence[Memory], texts: Sequence[list[int]]) -> list[torch.Tensor]:
    """`memory.second_moment(texts)` of each, made regular; from disk where that is there of the same model and texts.

    A folder that cannot be written, or a file that cannot be read, costs time and nothing else.
    """
    config = model.network.config
    key = {
        "weights": weights_digest(model.tensor_digests()),
        "texts": content_hash([list(t) for t in texts]),
        # Other code, another kernel or another kind of device may round, or count, otherwise.
        "code": [text_hash(inspect.getsource(module)) for module in (memory_module, reading)],
        "config": text_hash(config.to_json_string()),
        "attention": str(getattr(config, "_attn_implementation", "")),
        "device": model.device.type,
    }
    return [_second_moment(memory, texts, content_hash({**key, "memory": memory.path})) for memory in memories]


def _second_moment(memory: Memory, texts: Sequence[list[int]], key: str) -> torch.Tensor:
    from safetensors.torch import load_file, save_file

    path = cache_folder() / "second_moments" / f"{key.removeprefix('sha256:')}.safetensors"
    with suppress(OSError, SafetensorError, KeyError):
        kept: torch.Tensor = load_file(path)["moment"]
        return kept.to(memory.device)
    found = regular(memory.second_moment(texts))
    with suppress(OSError, SafetensorError):
        path.parent.mkdir(parents=True, exist_ok=True)
        waiting = path.with_suffix(f".{os.getpid()}")
        save_file({"moment": found.cpu().contiguous()}, waiting)
        waiting.replace(path)
    return found


def regular(moment: torch.Tensor) -> torch.Tensor:
    """The moment with a millionth of its mean diagonal added to it: fewer tokens than keys would leave it singular."""
    return moment + 1e-6 * moment.diagonal().mean() * torch.eye(len(moment), dtype=moment.dtype, device=moment.device)
