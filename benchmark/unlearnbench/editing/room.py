"""Is there memory for a second copy of what is trained?"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import psutil

from unlearnbench.errors import UnlearnBenchError
from unlearnbench.lazy import torch

if TYPE_CHECKING:
    from unlearnbench.model.model import Model

GIB = 1 << 30


class NoRoom(UnlearnBenchError):
    """There is too little memory for one method; others may need less."""


def refuse_without_room(model: Model, tensors: Collection[str]) -> None:
    """Raise `NoRoom` where a copy of these parameters does not fit into the memory that is free."""
    wanted = dict[torch.device, int]()
    for name in tensors:
        parameter = model.parameters[name]
        wanted[parameter.device] = wanted.get(parameter.device, 0) + parameter.nbytes
    for device, size in wanted.items():
        free = available(device)
        if size > free:
            raise NoRoom(
                f"a loss that compares with the model of before the edit needs {size / GIB:.2f} GiB on {device} for a"
                f" copy of what is trained, and {free / GIB:.2f} GiB are free",
                "train less of the model (another localizer, or a smaller budget), load it with dtype=bfloat16, or"
                " take an objective that needs no reference",
            )


def available(device: torch.device) -> int:
    """Bytes that are free there."""
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    return int(psutil.virtual_memory().available)
