"""How many threads a run uses: small models are faster on one, and leave the other cores to others."""

from collections.abc import Iterator
from contextlib import contextmanager

from unlearnbench.lazy import torch

SMALL = 20_000_000
"""Parameters below which a second thread costs more than it brings (`python tests/performance/threads.py`)."""


def threads_for(parameters: int, asked: int | None) -> int:
    """The number that was asked for; else one for a small model, and torch's own for others."""
    if asked is not None:
        return asked
    return 1 if parameters < SMALL else torch.get_num_threads()


@contextmanager
def using_threads(count: int | None = None) -> Iterator[None]:
    """Within: torch computes on so many threads, or as many as somebody sets; afterwards on as many as before."""
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
