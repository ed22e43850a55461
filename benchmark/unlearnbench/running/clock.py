"""Wall time by stage."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """How long each stage of a run took, in seconds."""

    def __init__(self) -> None:
        self.stages: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Within: the time counts for this stage."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.stages[name] = round(time.monotonic() - began, 3)
